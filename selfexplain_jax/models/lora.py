# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Low-rank adapters: a stacked tree beside the frozen layers, and its merging.

With the adapter the model explains; without it, it is the target as it was. The
base keeps what it knows, since nothing of it is trained.
"""

from flax import nnx
import jax
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import decoder

# The matrices of a block that get an adapter, as in the paper.
MATRICES = ('query', 'key', 'value', 'output', 'gate', 'up', 'down')


class Factors(nnx.Module):
  """The factors of every stacked matrix [L, in, out] of the blocks.

  `NAME_down` is [L, in, r] and `NAME_up` is [L, r, out], both float32. The
  second starts at zero, so that a new adapter changes nothing.

  Attributes:
    scale: what their product is multiplied with.
  """

  def __init__(
    self,
    layers: decoder.Layers,
    rank: int,
    key: jax.Array,
    scale: float = 1.0,
  ):
    """Makes the factors of `layers`; only their shapes are read."""
    self.scale = scale
    for name, subkey in zip(
      MATRICES, jax.random.split(key, len(MATRICES)), strict=True
    ):
      matrix = getattr(layers, name)
      stack, rows, columns = matrix.get_value().shape
      _, row_axis, column_axis = matrix.axes
      down = jax.random.normal(subkey, (stack, rows, rank)) * rows**-0.5
      up = jnp.zeros((stack, rank, columns))
      factors = (
        nnx.Param(down, axes=('layers', _split(row_axis), 'rank')),
        nnx.Param(up, axes=('layers', 'rank', _split(column_axis))),
      )
      setattr(self, f'{name}_down', factors[0])
      setattr(self, f'{name}_up', factors[1])

  def added(self, name: str, x: jax.Array) -> jax.Array:
    """Returns what one block's factors add to the product of x, [..., in].

    The two are multiplied one after the other: a gradient of the whole matrix,
    which merging them would take, costs as much as training it.
    """
    down, up = (
      getattr(self, f'{name}_{factor}')[...].astype(x.dtype)
      for factor in ('down', 'up')
    )
    # Scaled while it is small, and the sum with the base's product can then be
    # formed by the product itself.
    inner = self.scale * (x.reshape(-1, x.shape[-1]) @ down)
    return (inner.astype(x.dtype) @ up).reshape(*x.shape[:-1], -1)

  def merge(self, layers: decoder.Layers) -> decoder.Layers:
    """Returns stacked layers, or one of them, with the factors merged."""
    merged = jax.tree.map(lambda x: x, layers)
    for name in MATRICES:
      matrix = getattr(layers, name)
      down, up = (getattr(self, f'{name}_{f}')[...] for f in ('down', 'up'))
      weight = matrix.get_value()
      # Rounded once, where the base is not in float32.
      changed = weight.astype(down.dtype) + self.scale * (down @ up)
      setattr(merged, name, matrix.replace(changed.astype(weight.dtype)))
    return merged


def _split(axis: str) -> str:
  """The name of a factor's long axis, which is the one that is split.

  The other is as short as the rank, and no large mesh divides that.
  """
  return axis if axis == 'width' else f'factor_{axis}'


class Lora(nnx.Module):
  """An adapter of a decoder.

  Attributes:
    factors: of the layers' matrices.
    embedding: [V, D], added to the embedding; it starts at zero. The words of
      questions and answers may be new to the base, and a row of its own is the
      cheapest thing to learn for each. None where it knows all words.
  """

  def __init__(
    self,
    model: decoder.Decoder,
    rank: int,
    key: jax.Array,
    embedding: bool = True,
    scale: float = 1.0,
  ):
    """Makes the adapter of `model`; only its shapes are read."""
    table = model.embedding
    shape = table.get_value().shape
    self.factors = Factors(model.layers, rank, key, scale)
    self.embedding = (
      nnx.Param(jnp.zeros(shape), axes=table.axes) if embedding else None
    )


def abstract(
  model: decoder.Decoder,
  rank: int,
  embedding: bool = True,
  scale: float = 1.0,
) -> Lora:
  """Returns an adapter of `model` with shapes in place of its parameters."""

  def make(model: decoder.Decoder) -> Lora:
    return Lora(model, rank, jax.random.key(0), embedding, scale)

  return jax.eval_shape(make, model)


def initialize(
  model: decoder.Decoder,
  rank: int,
  key: jax.Array,
  mesh: jax.sharding.Mesh,
  embedding: bool = True,
  scale: float = 1.0,
) -> Lora:
  """Returns a new adapter of `model`, sharded from its birth."""

  def make(model: decoder.Decoder, key: jax.Array) -> Lora:
    return Lora(model, rank, key, embedding, scale)

  out = axis_rules.shardings(abstract(model, rank, embedding, scale), mesh)
  return jax.jit(make, out_shardings=out)(model, key)


def with_embedding(model: decoder.Decoder, adapter: Lora) -> decoder.Decoder:
  """Returns the model with the adapter's embedding, its layers unchanged."""
  if adapter.embedding is None:
    return model
  adapted = jax.tree.map(lambda x: x, model)
  weight = model.embedding.get_value()
  changed = weight + adapter.embedding.get_value().astype(weight.dtype)
  adapted.embedding = model.embedding.replace(changed)
  return adapted


@jax.jit
def adapt(model: decoder.Decoder, adapter: Lora) -> decoder.Decoder:
  """Returns the model with its adapter merged; the model stays as it was."""
  adapted = jax.tree.map(lambda x: x, with_embedding(model, adapter))
  adapted.layers = adapter.factors.merge(model.layers)
  return adapted
