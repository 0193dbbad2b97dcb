# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Injection: an activation in the place of one token of an explainer's input.

Vectors are stored raw and scaled only here (method B.1).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import decoder

MODES = ('replace_embedding', 'replace_embedding_scaled')


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('norm',),
  meta_fields=('mode', 'vector_id'),
)
@dataclasses.dataclass(frozen=True)
class Injection:
  """How vectors enter.

  Attributes:
    mode: `replace_embedding`, raw as in the paper, or
      `replace_embedding_scaled`, every vector rescaled to `norm`.
    vector_id: the token whose embedding is replaced.
    norm: the mean embedding norm of the initial explainer.
  """

  mode: str
  vector_id: int
  norm: float


def make(mode: str, model: decoder.Decoder, vector_id: int) -> Injection:
  """Returns the injection for an explainer that starts from `model`.

  Raises:
    errors.InputError: for an unknown mode.
  """
  if mode not in MODES:
    raise errors.InputError(
      f'unknown injection mode {mode!r}: expected one of {", ".join(MODES)}'
    )
  table = np.asarray(jax.device_get(model.embedding[...]), np.float64)
  norm = float(np.mean(np.linalg.norm(table, axis=1)))
  return Injection(mode, vector_id, norm)


def embed(
  model: decoder.Decoder,
  injection: Injection,
  tokens_BxT: jax.Array,
  vectors_BxKxD: jax.Array,
) -> jax.Array:
  """Embeds tokens; the k-th vector token of a row shows its k-th vector.

  Every row must have at most K vector tokens; `data.questions` counted them.

  Returns:
    [B, T, D] in the model's dtype.
  """
  x = decoder.embed(model, tokens_BxT)
  vectors = vectors_BxKxD
  if injection.mode == 'replace_embedding_scaled':
    length = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors = vectors * (injection.norm / jnp.maximum(length, 1e-12))
  here = tokens_BxT == injection.vector_id
  which = jnp.maximum(jnp.cumsum(here, 1) - 1, 0)
  shown = jnp.take_along_axis(vectors, which[..., None], 1)
  return jnp.where(here[..., None], shown.astype(x.dtype), x)
