# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The training step of an explainer: answers, and replay of what it knew."""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib

Batch = dict[str, Any]


def answer_loss(
  model: decoder.Decoder, injection: injection_lib.Injection, batch: Batch
) -> jax.Array:
  """Summed cross-entropy of answer tokens over their number, f32[].

  Args:
    model: the explainer.
    injection: how vectors enter.
    batch: `tokens`, `segments`, `positions` i32[B, T], `weights` f32[B, T] and
      `vectors` f32[B, K, D], as `data.packing` makes them.
  """
  embeddings = injection_lib.embed(
    model, injection, batch['tokens'], batch['vectors']
  )
  hidden, _ = decoder.forward(
    model,
    batch['tokens'],
    positions_BxT=batch['positions'],
    segments_BxT=batch['segments'],
    embeddings_BxTxD=embeddings,
  )
  losses = language_modelling.cross_entropy(
    model, hidden[:, :-1], batch['tokens'][:, 1:]
  )
  weights = batch['weights'][:, :-1]
  return jnp.sum(losses * weights) / jnp.maximum(jnp.sum(weights), 1.0)


def make_step(
  optimizer: optax.GradientTransformation,
  injection: injection_lib.Injection,
  replay_weight: float,
) -> Callable:
  """Returns the compiled step; it donates its state.

  Args:
    optimizer: the optimizer.
    injection: how vectors enter.
    replay_weight: weight of the language-modelling loss on the rows in
      `batch['replay']`, which keep the explainer from forgetting;
      without that field nothing is replayed.
  """

  def loss(model: decoder.Decoder, batch: Batch):
    explained = answer_loss(model, injection, batch)
    if 'replay' not in batch:
      return explained, {'loss': explained}
    replayed = language_modelling.loss(model, batch['replay'])
    total = explained + replay_weight * replayed
    return total, {'loss': explained, 'replay_loss': replayed}

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: state_lib.TrainState, batch: Batch):
    gradient, metrics = jax.grad(loss, has_aux=True)(state.model, batch)
    metrics['gradient_norm'] = optax.global_norm(gradient)
    return state_lib.update(state, gradient, optimizer), metrics

  return step
