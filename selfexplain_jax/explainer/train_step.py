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
from selfexplain_jax.models import lora
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib

Batch = dict[str, Any]


def answer_loss(
  model: decoder.Decoder,
  injection: injection_lib.Injection,
  batch: Batch,
  adapter: lora.Factors | None = None,
) -> jax.Array:
  """Summed cross-entropy of answer tokens over their number, f32[].

  Args:
    model: the explainer.
    injection: how vectors enter.
    batch: `tokens`, `segments`, `positions` i32[B, T], `weights` f32[B, T] and
      `vectors` f32[B, K, D], as `data.packing` makes them.
    adapter: of the explainer's layers.
  """
  embeddings, tap = injection_lib.inject(
    model, injection, batch['tokens'], batch['vectors']
  )
  hidden, _ = decoder.forward(
    model,
    batch['tokens'],
    positions_BxT=batch['positions'],
    segments_BxT=batch['segments'],
    embeddings_BxTxD=embeddings,
    tap=tap,
    adapter=adapter,
  )
  losses = language_modelling.cross_entropy(
    model, hidden[:, :-1], batch['tokens'][:, 1:]
  )
  weights = batch['weights'][:, :-1]
  return jnp.sum(losses * weights) / jnp.maximum(jnp.sum(weights), 1.0)


compiled_answer_loss = jax.jit(answer_loss)


def make_step(
  optimizer: optax.GradientTransformation,
  injection: injection_lib.Injection,
  replay_weight: float,
  base: decoder.Decoder | None = None,
) -> Callable:
  """Returns the compiled step; it donates its state.

  The state's model is the whole explainer, or the adapter of `base`.

  Args:
    optimizer: the optimizer.
    injection: how vectors enter.
    replay_weight: weight of the language-modelling loss on the rows in
      `batch['replay']`, which keep the explainer from forgetting;
      without that field nothing is replayed.
    base: the frozen explainer whose adapter is trained; None for all weights.
  """

  def loss(trained: Any, base: decoder.Decoder | None, batch: Batch):
    model, adapter = trained, None
    if base is not None:
      model = lora.with_embedding(base, trained)
      adapter = trained.factors
    explained = answer_loss(model, injection, batch, adapter)
    if 'replay' not in batch:
      return explained, {'loss': explained}
    replayed = language_modelling.loss(model, batch['replay'], adapter)
    total = explained + replay_weight * replayed
    return total, {'loss': explained, 'replay_loss': replayed}

  @functools.partial(jax.jit, donate_argnums=0)
  def step(
    state: state_lib.TrainState, base: decoder.Decoder | None, batch: Batch
  ):
    gradient, metrics = jax.grad(loss, has_aux=True)(state.model, base, batch)
    metrics['gradient_norm'] = optax.tree.norm(gradient)
    return state_lib.update(state, gradient, optimizer), metrics

  return lambda state, batch: step(state, base, batch)
