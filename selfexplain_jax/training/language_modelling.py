# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Next-token training on whole rows, one document a row."""

from collections.abc import Callable, Iterator
import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from selfexplain_jax.data import feeding
from selfexplain_jax.models import decoder
from selfexplain_jax.training import accumulation
from selfexplain_jax.training import state as state_lib

Batch = dict[str, jax.Array]


def cross_entropy(
  model: decoder.Decoder, hidden_BxTxD: jax.Array, target_BxT: jax.Array
) -> jax.Array:
  """Cross-entropy in nats of each target under the hidden state there.

  Returns:
    f32[B, T].
  """
  logits = decoder.unembed(model, hidden_BxTxD)
  chosen = jnp.take_along_axis(logits, target_BxT[..., None], -1)[..., 0]
  return jax.nn.logsumexp(logits, -1) - chosen


def loss(
  model: decoder.Decoder,
  batch: Batch,
  adapter: decoder.Adapter | None = None,
  total: jax.Array | None = None,
) -> jax.Array:
  """Weighted mean cross-entropy of all tokens but the first of each row, f32[].

  Args:
    model: the decoder.
    batch: `tokens` i32[B, T], and `weights` f32[B, T], one for each token.
    adapter: of the decoder's layers.
    total: what is divided by, if the batch is a part of another; the weights'
      sum if None.
  """
  tokens, weights = batch['tokens'], batch['weights'][:, 1:]
  hidden, _ = decoder.forward(model, tokens, adapter=adapter)
  losses = cross_entropy(model, hidden[:, :-1], tokens[:, 1:])
  if total is None:
    total = weight(batch)
  return jnp.sum(losses * weights) / total


def weight(batch: Batch) -> jax.Array:
  """The sum of the weights that count in a batch, f32[]; 1 if none does."""
  found = jnp.sum(batch['weights'][:, 1:])
  return jnp.where(found > 0, found, 1.0)


def make_step(
  optimizer: optax.GradientTransformation, accumulate: int = 1
) -> Callable:
  """Returns the compiled step; it donates its state.

  Args:
    optimizer: the optimizer.
    accumulate: parts that a batch is worked through in.
  """

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: state_lib.TrainState, batch: Batch):
    whole = None if accumulate == 1 else weight(batch)

    def gradients(part: Batch) -> tuple[jax.Array, decoder.Decoder]:
      return jax.value_and_grad(loss)(state.model, part, total=whole)

    value, gradient = accumulation.total(gradients, batch, accumulate)
    metrics = {'loss': value, 'gradient_norm': optax.tree.norm(gradient)}
    return state_lib.update(state, gradient, optimizer), metrics

  return step


@dataclasses.dataclass(frozen=True)
class _Rows:
  """Rows of a job, of which row i is a function of i alone."""

  row: Callable[[int], feeding.Row]
  rows: int

  def __len__(self) -> int:
    return self.rows

  def __getitem__(self, index: int) -> feeding.Row:
    return self.row(index)


def batches(
  row: Callable[[int], feeding.Row], batch: int, steps: int, done: int
) -> Iterator[feeding.Batch]:
  """Yields the batches, with fields [batch, T], of the steps that are left.

  Args:
    row: maps a global row counter to fields [T].
    batch: rows a step.
    steps: steps in all.
    done: steps done already.
  """
  return feeding.batches(_Rows(row, steps * batch), batch, done)
