# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Next-token training on whole rows, one document a row."""

import functools
from collections.abc import Callable, Iterator

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax

from selfexplain_jax.models import decoder
from selfexplain_jax.training import state as state_lib


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


def loss(model: decoder.Decoder, tokens_BxT: jax.Array) -> jax.Array:
  """Mean cross-entropy of all tokens but the first of each row, f32[]."""
  hidden, _ = decoder.forward(model, tokens_BxT)
  return jnp.mean(cross_entropy(model, hidden[:, :-1], tokens_BxT[:, 1:]))


def make_step(optimizer: optax.GradientTransformation) -> Callable:
  """Returns the compiled step; it donates its state."""

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: state_lib.TrainState, tokens_BxT: jax.Array):
    value, gradient = jax.value_and_grad(loss)(state.model, tokens_BxT)
    metrics = {'loss': value, 'gradient_norm': optax.global_norm(gradient)}
    return state_lib.update(state, gradient, optimizer), metrics

  return step


class CorpusRows(grain.sources.RandomAccessDataSource):
  """Rows of a corpus as a grain source: row i is a function of i alone."""

  def __init__(self, row: Callable[[int], np.ndarray], rows: int):
    self._row, self._rows = row, rows

  def __len__(self) -> int:
    return self._rows

  def __getitem__(self, index: int) -> np.ndarray:
    return self._row(index)


def batches(
  row: Callable[[int], np.ndarray], batch: int, steps: int, done: int
) -> Iterator[np.ndarray]:
  """Yields the batches i32[batch, T] of the steps that are left.

  Args:
    row: maps a global row counter to i32[T].
    batch: rows a step.
    steps: steps in all.
    done: steps done already.
  """
  source = CorpusRows(row, steps * batch)
  dataset = grain.MapDataset.source(source)[done * batch :].batch(batch)
  yield from dataset.to_iter_dataset(grain.ReadOptions(num_threads=0))
