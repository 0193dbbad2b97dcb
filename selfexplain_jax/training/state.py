# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The state of a training run: what is trained, and the optimizer's memory."""

from typing import Any, NamedTuple

import jax
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
