# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The training step of an explainer: answers, and replay of what it knew."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from selfexplain_jax.explainer import computed
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import accumulation
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib

Batch = dict[str, Any]


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('model', 'injection'),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Trained:
  """What is trained: the model of the training state of an explainer.

  Attributes:
    model: the whole explainer, or an adapter of its base.
    injection: what is learnt about vectors, in full rank either way.
  """

  model: Any
  injection: injection_lib.Parameters


def assemble(
  trained: Trained,
  injection: injection_lib.Injection,
  base: decoder.Decoder | None = None,
) -> tuple[decoder.Decoder, injection_lib.Injection]:
  """Returns the explainer and the injection to ask it with.

  Args:
    trained: what a state holds.
    injection: how vectors enter; its own parameters are not read.
    base: as in `make_step`.
  """
  model = trained.model if base is None else lora.adapt(base, trained.model)
  return model, injection.with_parameters(trained.injection)


def answer_loss(
  model: decoder.Decoder,
  injection: injection_lib.Injection,
  batch: Batch,
  adapter: lora.Factors | None = None,
  total: jax.Array | None = None,
) -> jax.Array:
  """Summed cross-entropy of answer tokens over their number, f32[].

  No logits are formed but those that tokens of answers are chosen by.

  Args:
    model: the explainer.
    injection: how vectors enter.
    batch: `tokens`, `segments`, `positions` i32[B, T] and `answers` i32[B, A],
      as `data.packing` makes them; `vectors` f32[B, K, D], in the order of the
      vector tokens of a row; and `vector_blocks` i32[B, K], their layer blocks,
      which may be absent where the injection tells none apart.
    adapter: of the explainer's layers.
    total: what is divided by, if the batch is a part of another; the number of
      its answer tokens if None.
  """
  embeddings, tap = injection_lib.inject(
    model,
    injection,
    batch['tokens'],
    batch['vectors'],
    batch.get('vector_blocks'),
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
  there = batch['answers'] >= 0
  place = jnp.where(there, batch['answers'], 0)
  # By row, so that rows stay on their devices.
  at = jax.vmap(lambda row, places: row[places])
  losses = language_modelling.cross_entropy(
    model, at(hidden, place), at(batch['tokens'], place + 1)
  )
  if total is None:
    total = answer_tokens(batch)
  return jnp.sum(jnp.where(there, losses, 0.0)) / total


def answer_tokens(batch: Batch) -> jax.Array:
  """The number of answer tokens in a batch, f32[]; at least 1."""
  count = jnp.sum(batch['answers'] >= 0, dtype=jnp.float32)
  return jnp.maximum(count, 1.0)


compiled_answer_loss = jax.jit(answer_loss)


def make_step(
  optimizer: optax.GradientTransformation,
  injection: injection_lib.Injection,
  replay_weight: float,
  base: decoder.Decoder | None = None,
  accumulate: int = 1,
  site: str = '',
) -> Callable:
  """Returns the compiled step; it donates its state.

  The state's model is a `Trained`. The base is neither donated nor copied, so
  that it can be the target too. It is an argument of the compiled function,
  `step.func`, which can be lowered for arrays that are not there.

  Args:
    optimizer: the optimizer.
    injection: how vectors enter; its parameters are those of the state.
    replay_weight: weight of the language-modelling loss on the rows in
      `batch['replay']`, which keep the explainer from forgetting;
      without that field nothing is replayed.
    base: the frozen explainer whose adapter is trained; None for all weights.
    accumulate: parts that a batch is worked through in.
    site: what the base's vectors are read at, where a batch says where they are
      from (`data.origins`) in place of `vectors`.
  """
  # Its own parameters may be donated with the first state.
  bare = injection.with_parameters(injection_lib.NO_PARAMETERS)

  def loss(
    trained: Trained,
    base: decoder.Decoder | None,
    batch: Batch,
    totals: dict[str, jax.Array],
  ):
    model, adapter = trained.model, None
    if base is not None:
      model = lora.with_embedding(base, trained.model)
      adapter = trained.model.factors
    shown = bare.with_parameters(trained.injection)
    explained = answer_loss(model, shown, batch, adapter, totals.get('answers'))
    if 'replay' not in batch:
      return explained, {'loss': explained}
    replayed = language_modelling.loss(
      model, batch['replay'], adapter, totals.get('replay')
    )
    total = explained + replay_weight * replayed
    return total, {'loss': explained, 'replay_loss': replayed}

  @functools.partial(jax.jit, donate_argnums=0)
  def step(
    state: state_lib.TrainState, batch: Batch, base: decoder.Decoder | None
  ):
    totals = {}
    if accumulate > 1:
      totals['answers'] = answer_tokens(batch)
      if 'replay' in batch:
        totals['replay'] = language_modelling.weight(batch['replay'])

    def gradients(part: Batch):
      shown = computed.with_vectors(base, part, site)
      return jax.grad(loss, has_aux=True)(state.model, base, shown, totals)

    gradient, metrics = accumulation.total(gradients, batch, accumulate)
    metrics['gradient_norm'] = optax.tree.norm(gradient)
    return state_lib.update(state, gradient, optimizer), metrics

  return functools.partial(step, base=base)
