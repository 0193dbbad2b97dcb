# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Vectors that are computed in the step that shows them.

An adapter's base is the target, and is held anyway: it reads the prompts that
the vectors are from, with the adapter off, and no stored vector is needed.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from selfexplain_jax import errors
from selfexplain_jax.models import decoder

STORED, COMPUTED = 'stored', 'computed'

Batch = dict[str, Any]


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('positions', 'layers'),
  meta_fields=('site', 'width'),
)
@dataclasses.dataclass(frozen=True)
class BlockSums:
  """Adds up a site over a block of layers, at one position of each sequence.

  A tap of `decoder.forward`; its state is the sums so far, f32[N, D].

  Attributes:
    positions: i32[N], the position that is read.
    layers: i32[N, 2], first and last layer of each block, both included.
    site: name of the site.
    width: D.
  """

  positions: jax.Array
  layers: jax.Array
  site: str
  width: int

  def start(self, tokens_BxT: jax.Array) -> jax.Array:
    """Returns no sums."""
    return jnp.zeros((tokens_BxT.shape[0], self.width), jnp.float32)

  def visit(
    self, sums: jax.Array, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Adds this layer to the blocks that it is of."""
    if site != self.site:
      return sums, value
    within = (self.layers[:, 0] <= layer) & (layer <= self.layers[:, 1])
    # By row, so that each device reads its own.
    read = jax.vmap(lambda row, at: row[at])(value, self.positions)
    return sums + jnp.where(within[:, None], read.astype(jnp.float32), 0), value


def vectors(
  model: decoder.Decoder,
  tokens_BxKxT: jax.Array,
  positions_BxK: jax.Array,
  layers_BxKx2: jax.Array,
  site: str,
) -> jax.Array:
  """Computes vectors as explanation sets hold them, f32[B, K, D].

  The model runs as far as the last layer that is read. No gradients go through.

  Args:
    model: what the vectors are activations of.
    tokens_BxKxT: i32, a prompt for each vector, padded on the right.
    positions_BxK: i32, the position that is read of each.
    layers_BxKx2: i32, first and last layer that the mean is over; the last one
      is before the first for no vector, which is 0.
    site: a site with layers.
  """
  rows, count, length = tokens_BxKxT.shape
  layers = layers_BxKx2.reshape(rows * count, 2)
  tap = BlockSums(
    positions_BxK.reshape(rows * count), layers, site, model.config.width
  )
  _, sums = decoder.forward(
    # A loop over no more layers than are needed could not be differentiated.
    jax.lax.stop_gradient(model),
    tokens_BxKxT.reshape(rows * count, length),
    tap=tap,
    layers=jnp.max(layers[:, 1], initial=-1) + 1,
  )
  counts = jnp.maximum(layers[:, 1] - layers[:, 0] + 1, 1)
  means = sums / counts[:, None].astype(jnp.float32)
  return means.reshape(rows, count, -1)


def with_vectors(
  base: decoder.Decoder | None, batch: Batch, site: str
) -> Batch:
  """Returns a batch with `vectors`, in place of the origins it may have.

  Args:
    base: the target; needed where vectors are to be computed.
    batch: with `vectors` f32[B, K, D]; or with the fields of `origins.arrays`,
      behind an axis B.
    site: of all origins.
  """
  if 'origin_tokens' not in batch:
    return batch
  if base is None:
    raise ValueError('vectors are to be computed, and there is no base')
  shown = dict(batch)
  tokens = shown.pop('origin_tokens')
  positions, layers = shown.pop('origin_positions'), shown.pop('origin_layers')
  return {**shown, 'vectors': vectors(base, tokens, positions, layers, site)}


def check(config: ml_collections.ConfigDict) -> bool:
  """Returns whether vectors are computed, from the configuration alone.

  Args:
    config: of the training: `vectors`, `lora_rank`, `projection.start` and
      `text_only`.

  Raises:
    errors.InputError: if the step has no base that could compute them, or
      nothing shows what it would.
  """
  match config.vectors:
    case 'stored':
      return False
    case 'computed':
      pass
    case other:
      raise errors.InputError(
        f'config.vectors is {other!r}: expected {STORED} or {COMPUTED}'
      )
  for field, value, wrong, expected in (
    (
      *('lora_rank', config.lora_rank, not config.lora_rank),
      'at least 1: an adapter alone leaves the target as it was',
    ),
    (
      *('projection.start', config.projection.start),
      *(config.projection.start != 'none', 'none: the base is the target'),
    ),
    (
      *('text_only', config.text_only, config.text_only),
      'False: zeros are shown, which nothing computes',
    ),
  ):
    if wrong:
      raise errors.InputError(
        f'config.vectors is {COMPUTED!r} and config.{field} is {value}: '
        f'expected {expected}'
      )
  return True
