# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The state of a training run: a model and its optimizer's memory of it."""

from typing import Any, NamedTuple

import jax
import optax

from selfexplain_jax.models import decoder


class TrainState(NamedTuple):
  """What a step maps to its successor."""

  model: decoder.Decoder
  optimizer: Any


def start(
  model: decoder.Decoder, optimizer: optax.GradientTransformation
) -> TrainState:
  """Returns the state before the first step."""
  return TrainState(model, jax.jit(optimizer.init)(model))


def update(
  state: TrainState,
  gradient: decoder.Decoder,
  optimizer: optax.GradientTransformation,
) -> TrainState:
  """Applies a gradient."""
  updates, memory = optimizer.update(gradient, state.optimizer, state.model)
  return TrainState(optax.apply_updates(state.model, updates), memory)
