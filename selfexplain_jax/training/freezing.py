# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Freezing: parameters of the first blocks that are held as they are."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from selfexplain_jax import errors
from selfexplain_jax.training import checkpoints

_STACK = 'layers.'


@dataclasses.dataclass(frozen=True)
class Frozen:
  """Which parameters are held.

  Attributes:
    names: of stacked parameters, such as 'gate' for 'layers.gate'.
    blocks: they are held in so many blocks, from the first.
  """

  names: tuple[str, ...]
  blocks: int


NOTHING = Frozen((), 0)


def check(tree: Any, frozen: Frozen) -> None:
  """Checks that a decoder has what is to be frozen.

  Raises:
    errors.InputError: naming the parameter or the block that it lacks.
  """
  stacked = {
    name.removeprefix(_STACK): leaf.shape[0]
    for name, leaf in zip(
      checkpoints.leaf_names(tree), jax.tree.leaves(tree), strict=True
    )
    if name.startswith(_STACK)
  }
  for name in frozen.names:
    if name not in stacked:
      raise errors.InputError(
        f'config.frozen.names has {name!r}: expected some of '
        f'{", ".join(stacked)}'
      )
    if not 0 <= frozen.blocks <= stacked[name]:
      raise errors.InputError(
        f'config.frozen.blocks is {frozen.blocks}: expected 0 to '
        f'{stacked[name]}, the blocks of the model'
      )


def hold(frozen: Frozen) -> optax.GradientTransformation:
  """Returns a transformation that sets the updates of what is frozen to 0."""

  def update(updates: Any, params: Any = None) -> Any:
    del params
    names = [n.rsplit('.', 1)[-1] for n in checkpoints.leaf_names(updates)]
    leaves, structure = jax.tree.flatten(updates)
    held = [
      _without_first(leaf, frozen.blocks) if name in frozen.names else leaf
      for name, leaf in zip(names, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, held)

  return optax.stateless(update)


def _without_first(stack: jax.Array, blocks: int) -> jax.Array:
  """Returns [L, ...] with 0 in the first blocks."""
  moves = jnp.arange(stack.shape[0], dtype=jnp.int32) >= blocks
  shape = (-1,) + (1,) * (stack.ndim - 1)
  return jnp.where(moves.reshape(shape), stack, jnp.zeros((), stack.dtype))
