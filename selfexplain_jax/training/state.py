# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The state of a training run: what is trained, and the optimizer's memory."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
import optax

from selfexplain_jax.distributed import axis_rules


class TrainState(NamedTuple):
  """What a step maps to its successor.

  Attributes:
    model: what is trained: a decoder, or an adapter of one.
    optimizer: the optimizer's memory.
  """

  model: Any
  optimizer: Any


def keep_sound(
  sound: jax.typing.ArrayLike, old: Any, new: Any, metrics: dict[str, jax.Array]
) -> tuple[Any, dict[str, jax.Array]]:
  """Returns what a step returns, without an update that is not to be trusted.

  From the first step on whose metrics are not finite the state stays as it was
  before that step, though the host learns of it only some steps later.

  Args:
    sound: whether all steps before this one gave finite metrics, bool[].
    old: the state before the step.
    new: the state after it.
    metrics: of the step.

  Returns:
    The state, and the metrics with `sound` for the next step.
  """
  finite = [jnp.isfinite(value).all() for value in metrics.values()]
  sound = functools.reduce(jnp.logical_and, finite, jnp.asarray(sound))
  kept = jax.tree.map(lambda o, n: jnp.where(sound, n, o), old, new)
  return kept, {**metrics, 'sound': sound}


def all_sound() -> jax.Array:
  """Returns what the first step takes as `sound`, as later steps return it."""
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return jnp.asarray(True)
  everywhere = NamedSharding(mesh, PartitionSpec())
  return jax.jit(lambda: jnp.asarray(True), out_shardings=everywhere)()


def start(model: Any, optimizer: optax.GradientTransformation) -> TrainState:
  """Returns the state before the first step, sharded as the model is."""

  @jax.jit
  def memory(model: Any) -> Any:
    return axis_rules.constrain_parameters(optimizer.init(model))

  return TrainState(model, memory(model))


def update(
  state: TrainState,
  gradient: Any,
  optimizer: optax.GradientTransformation,
) -> TrainState:
  """Applies a gradient; the new state is sharded as the old one was."""
  gradient = axis_rules.constrain_parameters(gradient)
  updates, memory = optimizer.update(gradient, state.optimizer, state.model)
  new = TrainState(optax.apply_updates(state.model, updates), memory)
  return axis_rules.constrain_parameters(new)
