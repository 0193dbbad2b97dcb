# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Public names that look into a model, and change what it computes.

Texts are given as text or as sequences of token ids, which are taken as they
are; positions count BOS, where the model has one.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import ablate as ablate_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.models import sites
from selfexplain_jax.tasks import target as target_lib

Text = str | Sequence[int]


@dataclasses.dataclass(frozen=True)
class Effect:
  """What a treatment does to the output of a target.

  Attributes:
    clean_token: the most likely next token without it, as text.
    treated_token: the one with it.
    clean_margin: the logit of the one minus the runner-up's.
    treated_margin: that of the other.
  """

  clean_token: str
  treated_token: str
  clean_margin: float
  treated_margin: float

  @property
  def changed(self) -> bool:
    """Whether the most likely token is another."""
    return self.clean_token != self.treated_token


@dataclasses.dataclass(frozen=True)
class Captured:
  """Activations of texts.

  Attributes:
    tokens: of each text, token by token.
    values: f32[N, L, T, D], 0 behind the end of a text; of a site that is no
      layer's, L is 1.
  """

  tokens: list[list[str]]
  values: np.ndarray


def load(directory: str, dtype: str = 'float32') -> target_lib.Target:
  """Loads a model: a Hugging Face directory or hub id, or a world's.

  Args:
    directory: of the model.
    dtype: `float32` or `bfloat16`.

  Returns:
    It, with `.config`, `.tokenizer` and, once it is needed, `.model`.

  Raises:
    InputError: if there is none.
  """
  return target_lib.open_target(directory, mesh_lib.make_mesh(), dtype)


def capture(
  target: target_lib.Target,
  texts: Sequence[Text],
  layers: Sequence[int] | None = None,
  site: str = 'resid_post',
) -> Captured:
  """Reads activations at every position of texts.

  Args:
    target: of `load`.
    texts: N of them.
    layers: which, in the order in which they come back; all if None.
    site: see `sites.SITES`.

  Raises:
    InputError: naming a site, layer or word that there is not.
  """
  ids = [text_ids(target, text) for text in texts]
  if not ids:
    raise errors.InputError('no texts: expected at least one')
  layered = sites.site(site).layered
  wanted = tuple(range(target.config.layers) if layers is None else layers)
  length = subject_lib.padded_length(ids)
  tokens, lengths = prompts_lib.pad(ids, length)
  with _mesh(target):
    made = capture_lib.run(
      target.model,
      tokens,
      capture_lib.build(
        *(target.config, (site,), wanted),
        np.tile(np.arange(length), (len(ids), 1)),
      ),
    )[site]
  values = np.asarray(made, np.float32)
  values = np.moveaxis(values if layered else values[None], 0, 1)
  inside = np.arange(length) < lengths[:, None]
  values = np.where(inside[:, None, :, None], values, 0)
  return Captured(
    [[target.tokenizer.text(i) for i in own] for own in ids],
    values[:, :, : max(map(len, ids))],
  )


def patch(
  target: target_lib.Target,
  text: Text,
  layers: int | tuple[int, int],
  position: int,
  vector: np.ndarray,
  site: str = 'resid_post',
) -> Effect:
  """Puts a vector in the place of an activation, and sees what comes next.

  Args:
    target: of `load`.
    text: what it reads.
    layers: one layer, or the first and the last of several.
    position: where.
    vector: f32[D].
    site: see `sites.SITES`.

  Raises:
    InputError: naming a site, layer, position or word that there is not.
  """
  first, last = layers if isinstance(layers, tuple) else (layers, layers)
  ids = text_ids(target, text)
  vector = np.asarray(vector, np.float32)
  sites.site(site)
  if not 0 <= first <= last < target.config.layers:
    raise errors.InputError(
      f'layers {first} to {last}: expected 0 to {target.config.layers - 1}'
    )
  if not 0 <= position < len(ids):
    raise errors.InputError(
      f'position {position}: expected 0 to {len(ids) - 1}'
    )
  if vector.shape != (target.config.width,):
    raise errors.InputError(
      f'the vector has shape {vector.shape}: expected ({target.config.width},)'
    )
  tokens, length = prompts_lib.pad([ids], step=subject_lib.LENGTH_STEP)
  where = np.array([[first, last, position]], np.int32)
  with _mesh(target):
    return _effect(
      target,
      effects_lib.run_clean(target.model, tokens, length, 1),
      effects_lib.run_whole(
        target.model,
        effects_lib.Cells(
          tokens=tokens,
          length=length,
          first=where[:, 0],
          last=where[:, 1],
          position=where[:, 2],
          vector=vector[None],
          site=site,
        ),
        1,
      ),
    )


def ablate(
  target: target_lib.Target,
  text: Text,
  start: int,
  end: int,
  replacement: Text = (),
) -> Effect:
  """Removes a piece of a text, or puts another in its place.

  Args:
    target: of `load`.
    text: what it reads.
    start: first position of the piece.
    end: the one after its last.
    replacement: what stands there instead.

  Raises:
    InputError: naming a word that there is not.
    ValueError: if there is no such piece, or nothing is left.
  """
  ids = text_ids(target, text)
  instead: Sequence[int] = ()
  if isinstance(replacement, str):
    instead = target.tokenizer.encode(replacement)
  elif len(replacement):
    instead = text_ids(target, replacement)
  found = []
  with _mesh(target):
    for some in (ids, ablate_lib.ablate(ids, start, end, instead)):
      tokens, length = prompts_lib.pad([some], step=subject_lib.LENGTH_STEP)
      found.append(effects_lib.run_clean(target.model, tokens, length, 1))
  return _effect(target, *found)


def text_ids(target: target_lib.Target, text: Text) -> tuple[int, ...]:
  """The tokens of a text."""
  if isinstance(text, str):
    return tuple(target.tokenizer.encode_prompt(text))
  for token in text:
    target.tokenizer.token(int(token))
  if not len(text):
    raise errors.InputError('a text has no tokens: expected at least one')
  return tuple(int(token) for token in text)


def _effect(
  target: target_lib.Target,
  clean: effects_lib.Effects,
  treated: effects_lib.Effects,
) -> Effect:
  """What the first of some runs shows."""
  return Effect(
    clean_token=target.tokenizer.text(int(clean.token[0])),
    treated_token=target.tokenizer.text(int(treated.token[0])),
    clean_margin=float(clean.margin[0]),
    treated_margin=float(treated.margin[0]),
  )


def _mesh(target: target_lib.Target) -> Any:
  """Has the target's mesh set."""
  if not isinstance(target.mesh, jax.sharding.Mesh):
    raise errors.InputError('the target has no devices: expected one of `load`')
  return jax.set_mesh(target.mesh)
