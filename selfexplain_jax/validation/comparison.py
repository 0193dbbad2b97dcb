# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compares a model directory with a reference that reads the same directory."""

from collections.abc import Callable, Iterator
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import artefact
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.validation import agreement
from selfexplain_jax.validation import canaries
from selfexplain_jax.validation import check as check_lib

NEW_TOKENS = 64
_PROMPTS = 8

Check = check_lib.Check


class Reference(Protocol):
  """Another implementation, in float32, of the same model."""

  def run(self, tokens_BxT: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what `agreement.run` returns with sites."""
    ...

  def generate(
    self, prompts: list[list[int]], new_tokens: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Continues prompts greedily; the end token ends nothing.

    Returns:
      The tokens i32[B, N] and the margins of the choices f32[B, N].
    """
    ...


Load = Callable[[files.PathLike], Reference]


def compare(
  directory: files.PathLike,
  load: Load,
  mesh: jax.sharding.Mesh,
  asked: canaries.Prompts,
) -> Iterator[Check]:
  """Yields how sites, generations and distributions agree.

  One model is in memory at a time. Sites are compared in float32, and come
  first, since they say where a difference of the others begins.

  Args:
    directory: the model's.
    load: reads the reference from it.
    mesh: where ours goes; it is set.
    asked: random prompts; whole rows of their tokens are read.
  """
  prompts = _unequal(asked.tokens)
  reference = load(directory)
  expected = reference.run(asked.tokens)
  continued = reference.generate(prompts, NEW_TOKENS)
  del reference
  for dtype in artefact.DTYPES:
    exact = dtype == 'float32'
    model = huggingface.load(directory, mesh, dtype, dtype)
    found = agreement.run(model, asked.tokens, sites=exact)
    if exact:
      yield from _sites(found, expected)
      tokens, lengths = prompts_lib.pad(prompts)
      ours = generate.generate(
        model,
        jnp.asarray(tokens),
        jnp.asarray(lengths),
        new_tokens=NEW_TOKENS,
        end_id=-1,
      )
      yield _generations(hosts.fetch(ours).tokens, *continued)
    del model
    yield _distributions(dtype, found, expected)


def _unequal(tokens_BxT: np.ndarray) -> list[list[int]]:
  """Eight prompts of unequal lengths."""
  length = tokens_BxT.shape[1]
  rows = np.resize(np.arange(len(tokens_BxT)), _PROMPTS)
  return [
    tokens_BxT[row, : max(2, length - 3 * i)].tolist()
    for i, row in enumerate(rows)
  ]


def _sites(found, expected) -> Iterator[Check]:
  """The first tensor beyond the bound; then the worst of each site."""
  every = list(agreement.differences(found, expected))
  first = agreement.first_beyond(every)
  bound = f'{agreement.SITE_BOUND:.0e}'
  if first is None:
    yield Check('sites', True, f'all of {len(every)} tensors within {bound}')
  else:
    yield Check(
      'sites',
      False,
      f'the first beyond {bound} is {first.tensor}: {first.absolute:.2e} at '
      f'magnitude {first.magnitude:.2e}',
    )
  for name in (*(site.name for site in sites_lib.SITES), agreement.LOGITS):
    worst = max((d for d in every if d.site == name), key=lambda d: d.share)
    yield Check(
      name,
      worst.share <= agreement.SITE_BOUND,
      f'{worst.absolute:.2e} at magnitude {worst.magnitude:.2e}, '
      f'worst in {worst.tensor}',
    )


def _generations(ours, expected, margins) -> Check:
  equal, wrong = agreement.generations(ours, expected, margins)
  return Check(
    'generations',
    not wrong,
    f'{equal} of {len(ours)} are equal over {ours.shape[1]} tokens, {wrong} '
    'part where the choice is clear',
  )


def _distributions(dtype, found, expected) -> Check:
  bound = agreement.BOUNDS[dtype]
  made = agreement.distributions(
    found[agreement.LOGITS], expected[agreement.LOGITS], bound.margin
  )
  detail = (
    f'KL mean {made.mean:.2e} (at most {bound.mean:.0e}), most '
    f'{made.most:.2e} (at most {bound.most:.0e}); top-1 {made.top_1:.4f}'
  )
  beyond = made.beyond(bound)
  return Check(f'logits in {dtype}', not beyond, beyond or detail)
