# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Means over blocks of layers, taken inside the forward pass (method A.2)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import decoder


@dataclasses.dataclass(frozen=True)
class _Sums:
  """Adds up a site over blocks of layers, as a tap of `decoder.forward`.

  Attributes:
    first: i32[C], the first layer of each block.
    last: i32[C], the last one.
    site: name of the site, which has layers.
    width: D.
  """

  first: jax.Array
  last: jax.Array
  site: str
  width: int

  def start(self, tokens_BxT: jax.Array) -> jax.Array:
    """Returns no sums, f32[C, B, T, D]."""
    shape = (len(self.first), *tokens_BxT.shape, self.width)
    return jnp.zeros(shape, jnp.float32)

  def visit(
    self, sums: jax.Array, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Adds this layer to the blocks that it is of."""
    if site != self.site:
      return sums, value
    within = (self.first <= layer) & (layer <= self.last)
    added = jnp.where(within[:, None, None, None], value, 0)
    return sums + added.astype(jnp.float32), value


@functools.partial(jax.jit, static_argnames=('site',))
def _means(model, tokens_BxT, first_C, last_C, site):
  tap = _Sums(first_C, last_C, site, model.config.width)
  _, sums = decoder.forward(model, tokens_BxT, tap=tap)
  counts = (last_C - first_C + 1).astype(jnp.float32)
  return sums / counts[:, None, None, None]


def means(
  model: decoder.Decoder,
  tokens_BxT: np.ndarray,
  blocks: np.ndarray,
  site: str,
) -> jax.Array:
  """Returns the mean of a site over each of C blocks of layers.

  Args:
    model: the decoder.
    tokens_BxT: i32, padded on the right.
    blocks: i32[C, 2], first and last layer of each, both included.
    site: a site with layers.

  Returns:
    f32[C, B, T, D], at every position.
  """
  tokens = jnp.asarray(tokens_BxT, jnp.int32)
  bounds = jnp.asarray(blocks, jnp.int32)
  return _means(model, tokens, bounds[:, 0], bounds[:, 1], site)
