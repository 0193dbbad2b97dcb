# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checks that need no reference: what must hold of any model that is run.

Where one program is run twice on the same shapes, equality is to the bit. Where
shapes differ it is of greedy tokens whose margin is above rounding.
"""

from collections.abc import Iterator
import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.interventions import run as run_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.validation import check as check_lib
from selfexplain_jax.validation import forward_order

Check = check_lib.Check

_NEW_TOKENS = 16

# Below such a margin, as a share of the largest logit, rounding may turn a
# choice round when a model is run in another batch shape. In bfloat16 a
# rounding of the last residual stream moves logits by 2^-8 of their size, and
# there are several roundings in each block.
_ROUNDING = {'float32': 0.0, 'bfloat16': 2.0**-4}
_MARGIN = 1e-4


@dataclasses.dataclass(frozen=True)
class Prompts:
  """Random prompts of different lengths.

  Attributes:
    tokens: i32[B, T], padded on the right with random ids too.
    length: i32[B].
  """

  tokens: np.ndarray
  length: np.ndarray


def random_prompts(
  vocabulary: int, batch: int, length: int, seed: int, bos_id: int | None
) -> Prompts:
  """Draws prompts of `length` tokens and less, the first of them BOS."""
  random = np.random.default_rng(seed)
  tokens = random.integers(0, vocabulary, (batch, length), np.int32)
  if bos_id is not None:
    tokens[:, 0] = bos_id
  lengths = length - np.arange(batch, dtype=np.int32) % max(1, length // 2)
  return Prompts(tokens, lengths)


def run(model: decoder.Decoder, prompts: Prompts) -> Iterator[Check]:
  """Runs all canaries, one after the other.

  Args:
    model: the model; its mesh is set.
    prompts: what it reads.
  """
  cells = _Cells(model, prompts)
  yield cells.finite()
  yield cells.padding()
  yield cells.own_values()
  yield cells.zeros()
  yield cells.blocks()
  yield _repeated(model, prompts)


class _Made(NamedTuple):
  """A run, on the host: as `run.NextToken`."""

  logits: np.ndarray
  captured: dict[str, np.ndarray]
  written: np.ndarray

  def value(self, site: str, layer: int) -> np.ndarray:
    """What a site of a layer has at the last positions, f32[B, D]."""
    found = self.captured[site]
    return (found[layer] if sites_lib.site(site).layered else found)[:, 0]


class _Cells:
  """Patches one cell a row, in one compiled program for all cells."""

  def __init__(self, model: decoder.Decoder, prompts: Prompts):
    self._model, self._prompts = model, prompts
    self._cells = forward_order.cells(model.config.layers)
    self._capture = capture_lib.build(
      model.config,
      tuple(site.name for site in sites_lib.SITES),
      tuple(range(model.config.layers)),
      prompts.length[:, None] - 1,
    )

  def _run(
    self, tokens: np.ndarray, cells=None, vectors=None, last=None
  ) -> _Made:
    """Replaces, in each row, one cell at the last position; or none."""
    batch = len(tokens)
    here = cells or [('embed', 0)] * batch
    first = np.array([layer for _, layer in here], np.int32)
    if vectors is None:
      vectors = np.zeros((batch, self._model.config.width), np.float32)
    patches = patch_lib.Patches(
      site=_i32([sites_lib.site(name).index for name, _ in here]),
      first=_i32(first),
      last=_i32(first if last is None else last),
      position=_i32(self._prompts.length - 1),
      mode=_i32([patch_lib.REPLACE if cells else patch_lib.OFF] * batch),
      vector=jnp.asarray(vectors[:, None], jnp.float32),
      sites=tuple(site.name for site in sites_lib.SITES),
    )
    made = run_lib.run(
      self._model,
      jnp.asarray(tokens),
      jnp.asarray(self._prompts.length),
      patches,
      self._capture,
      keep_logits=True,
    )
    captured = {
      name: np.asarray(value, np.float32)
      for name, value in hosts.fetch(made.captured).items()
    }
    return _Made(np.asarray(made.logits), captured, np.asarray(made.written))

  @functools.cached_property
  def _clean(self) -> _Made:
    return self._run(self._prompts.tokens)

  def finite(self) -> Check:
    """Logits and all activations are finite, and not all the same."""
    clean = self._clean
    values = {
      forward_order.tensor(site, layer): clean.value(site, layer)
      for site, layer in self._cells
    }
    for name, value in {**values, 'logits': clean.logits}.items():
      if not np.all(np.isfinite(value)):
        return Check('finite', False, f'{name} has values that are not finite')
    if not np.all(np.ptp(clean.logits, -1) > 0):
      return Check('finite', False, 'the logits of a prompt are all the same')
    return Check('finite', True, 'logits and the activations of all sites')

  def padding(self) -> Check:
    """What stands after a prompt changes nothing."""
    prompts = self._prompts
    after = np.arange(prompts.tokens.shape[1]) >= prompts.length[:, None]
    vocabulary = self._model.config.vocabulary
    other = np.where(after, (prompts.tokens + 1) % vocabulary, prompts.tokens)
    same = np.array_equal(self._run(other).logits, self._clean.logits)
    detail = 'other ids on the right of prompts change no logit'
    return Check('padding', same, detail if same else f'not so: {detail}')

  def _each(self) -> Iterator[list[tuple[str, int]]]:
    """All cells, as many at a time as there are prompts."""
    batch = len(self._prompts.length)
    for start in range(0, len(self._cells), batch):
      part = self._cells[start : start + batch]
      yield [part[i % len(part)] for i in range(batch)]

  def own_values(self) -> Check:
    """Writing what is there anyway changes no bit of the logits."""
    clean = self._clean
    for cells in self._each():
      own = np.stack(
        [
          clean.value(site, layer)[row]
          for row, (site, layer) in enumerate(cells)
        ]
      )
      made = self._run(self._prompts.tokens, cells, own)
      for row, (site, layer) in enumerate(cells):
        if made.written[row] != 1:
          return _wrong('own values', site, layer, 'was not written once')
        if not np.array_equal(made.logits[row], clean.logits[row]):
          return _wrong('own values', site, layer, 'its own value does not fit')
    detail = (
      f'written to each of {len(self._cells)} sites and layers: no change'
    )
    return Check('own values', True, detail)

  def zeros(self) -> Check:
    """Writing zeros does change the logits."""
    for cells in self._each():
      made = self._run(self._prompts.tokens, cells)
      for row, (site, layer) in enumerate(cells):
        if np.array_equal(made.logits[row], self._clean.logits[row]):
          return _wrong('zeros', site, layer, 'zeros change no logit')
    detail = f'written to each of {len(self._cells)} sites and layers: a change'
    return Check('zeros', True, detail)

  def blocks(self) -> Check:
    """A patch of several layers is written at each of them."""
    layers = self._model.config.layers
    names = [site.name for site in sites_lib.SITES if site.layered]
    batch = len(self._prompts.length)
    cells = [(names[i % len(names)], i % layers) for i in range(batch)]
    first = np.array([layer for _, layer in cells])
    last = np.full(batch, layers - 1)
    made = self._run(self._prompts.tokens, cells, last=last)
    asked = last - first + 1
    ok = np.array_equal(made.written, asked)
    detail = f'{int(asked.sum())} cells asked for, {made.written.sum()} written'
    return Check('written cells', ok, detail)


def _i32(values) -> jax.Array:
  return jnp.asarray(np.asarray(values, np.int32)[:, None])


def _wrong(name: str, site: str, layer: int, what: str) -> Check:
  return Check(name, False, f'{forward_order.tensor(site, layer)}: {what}')


def _repeated(model: decoder.Decoder, prompts: Prompts) -> Check:
  """Greedy tokens, with a cache and together, are those of whole rows alone."""
  batch, length = prompts.tokens.shape
  made = hosts.fetch(
    generate.generate(
      model,
      jnp.asarray(prompts.tokens),
      jnp.asarray(prompts.length),
      new_tokens=_NEW_TOKENS,
      end_id=-1,
    )
  ).tokens
  compared = wide = wrong = 0
  for row in range(batch):
    start = prompts.length[row]
    tokens = np.zeros((1, length + _NEW_TOKENS), np.int32)
    tokens[0, :start] = prompts.tokens[row, :start]
    tokens[0, start : start + _NEW_TOKENS] = made[row]
    logits = np.asarray(_whole(model, jnp.asarray(tokens)))[0]
    logits = logits[start - 1 : start - 1 + _NEW_TOKENS]
    top = np.sort(logits, -1)
    share = _ROUNDING[model.config.dtype]
    least = np.maximum(_MARGIN, share * np.abs(logits).max(-1))
    sure = top[:, -1] - top[:, -2] > least
    compared, wide = compared + len(sure), wide + int(sure.sum())
    wrong += int(np.sum(sure & (logits.argmax(-1) != made[row])))
  detail = (
    f'of {compared} greedy tokens {wide} have clear margins, and {wrong} of '
    'these are others in another batch shape'
  )
  return Check('batch shape', not wrong, detail)


@jax.jit
def _whole(model: decoder.Decoder, tokens_BxT: jax.Array) -> jax.Array:
  hidden, _ = decoder.forward(model, tokens_BxT)
  return decoder.unembed(model, hidden)
