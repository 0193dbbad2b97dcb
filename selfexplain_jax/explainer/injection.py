# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Injection: an activation in the place of one token of an explainer's input.

Vectors are stored raw and scaled only here (method B.1, G.2).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import decoder

MODES = ('replace_embedding', 'replace_embedding_scaled', 'add_norm_matched')

_TINY = 1e-24  # Below every squared norm of a vector; a zero one stays zero.


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('norm',),
  meta_fields=('mode', 'vector_id', 'block'),
)
@dataclasses.dataclass(frozen=True)
class Injection:
  """How vectors enter.

  Attributes:
    mode: `replace_embedding`, raw as in the paper;
      `replace_embedding_scaled`, every vector rescaled to `norm`; or
      `add_norm_matched`, added to what block `block` puts out, with the norm
      that the residual stream has there (Activation Oracles).
    vector_id: the token whose embedding or residual stream gets the vector.
    norm: the mean embedding norm of the initial explainer.
    block: for `add_norm_matched`, after which block, from 0.
  """

  mode: str
  vector_id: int
  norm: float
  block: int = 0


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('direction', 'block'),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class _Addition:
  """A tap that adds directions to the residual stream after one block.

  Attributes:
    direction: [B, T, D], of norm 1; 0 where nothing is added.
    block: i32[], after which block.
  """

  direction: jax.Array
  block: jax.Array

  def start(self, tokens_BxT: jax.Array) -> None:
    """Keeps no state."""

  def visit(
    self, state: None, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[None, jax.Array]:
    """Adds at the one site and block."""
    if site != 'resid_post':
      return state, value
    length = _length(value.astype(jnp.float32))
    here = (layer == self.block).astype(jnp.float32)
    added = self.direction * length * here
    return state, value + added.astype(value.dtype)


def make(
  mode: str, model: decoder.Decoder, vector_id: int, block: int = 0
) -> Injection:
  """Returns the injection for an explainer that starts from `model`.

  Raises:
    errors.InputError: for an unknown mode, or a block that the model lacks.
  """
  if mode not in MODES:
    raise errors.InputError(
      f'unknown injection mode {mode!r}: expected one of {", ".join(MODES)}'
    )
  if not 0 <= block < model.config.layers:
    raise errors.InputError(
      f'injection after block {block}: expected 0 to '
      f'{model.config.layers - 1}, the blocks of the explainer'
    )
  table = np.asarray(jax.device_get(model.embedding[...]), np.float64)
  norm = float(np.mean(np.linalg.norm(table, axis=1)))
  return Injection(mode, vector_id, norm, block)


def _length(x: jax.Array) -> jax.Array:
  """The norm over the last axis, kept as an axis; never quite 0."""
  return jnp.sqrt(jnp.sum(x * x, -1, keepdims=True) + _TINY)


def inject(
  model: decoder.Decoder,
  injection: Injection,
  tokens_BxT: jax.Array,
  vectors_BxKxD: jax.Array,
) -> tuple[jax.Array, decoder.Tap | None]:
  """Shows vectors: the k-th vector token of a row gets the row's k-th vector.

  Every row must have at most K vector tokens; `data.questions` counted them.

  Returns:
    Embeddings [B, T, D] in the model's dtype, and a tap; both go to
    `decoder.forward`, or to `generate.generate`.
  """
  x = decoder.embed(model, tokens_BxT)
  here = tokens_BxT == injection.vector_id
  which = jnp.maximum(jnp.cumsum(here, 1) - 1, 0)
  shown = jnp.take_along_axis(vectors_BxKxD, which[..., None], 1)
  if injection.mode == 'replace_embedding':
    return jnp.where(here[..., None], shown.astype(x.dtype), x), None
  direction = shown / _length(shown)
  if injection.mode == 'replace_embedding_scaled':
    scaled = (direction * injection.norm).astype(x.dtype)
    return jnp.where(here[..., None], scaled, x), None
  return x, _Addition(
    jnp.where(here[..., None], direction, 0.0),
    jnp.asarray(injection.block, jnp.int32),
  )
