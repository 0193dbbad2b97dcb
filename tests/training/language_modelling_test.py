# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of next-token training against the slow decoder."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np
import optax

from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib
from tests.models import oracle
from tests.models import tiny

MODEL = tiny.model(layers=2)
LENGTH = 7


def _row(index):
  rng = np.random.default_rng([5, index])
  return {
    'tokens': rng.integers(0, 40, LENGTH).astype(np.int32),
    'weights': rng.uniform(size=LENGTH).astype(np.float32),
  }


def _batch(rows):
  made = [_row(i) for i in rows]
  return {name: np.stack([r[name] for r in made]) for name in made[0]}


class LossTest(absltest.TestCase):
  def test_is_the_weighted_mean_of_all_tokens_but_the_first(self):
    total = weights = 0.0
    for row in map(_row, range(3)):
      logits, _ = oracle.forward(MODEL, row['tokens'])
      for at in range(1, LENGTH):
        before = logits[at - 1]
        said = before[row['tokens'][at]] - np.log(np.exp(before).sum())
        total -= row['weights'][at] * said
        weights += row['weights'][at]
    found = jax.jit(language_modelling.loss)(MODEL, _batch(range(3)))
    self.assertAlmostEqual(float(found), total / weights, places=4)


class StepTest(absltest.TestCase):
  def test_learns_a_batch(self):
    optimizer = optax.adam(1e-2)
    step = language_modelling.make_step(optimizer)
    # The step donates its state.
    state = state_lib.start(tiny.model(layers=2), optimizer)
    losses = []
    for _ in range(15):
      state, metrics = step(state, _batch(range(3)))
      losses.append(float(metrics['loss']))
    expected = jax.jit(language_modelling.loss)(MODEL, _batch(range(3)))
    self.assertAlmostEqual(losses[0], float(expected), places=4)
    self.assertGreater(float(metrics['gradient_norm']), 0)
    self.assertLess(losses[-1], 0.7 * losses[0])


class BatchesTest(parameterized.TestCase):
  @parameterized.parameters((4, 5, 0), (4, 5, 3), (1, 6, 5), (3, 2, 2))
  def test_are_the_rows_that_are_left(self, batch, steps, done):
    made = list(language_modelling.batches(_row, batch, steps, done))
    self.assertLen(made, steps - done)
    for step, found in enumerate(made, done):
      expected = _batch(range(step * batch, (step + 1) * batch))
      for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


if __name__ == '__main__':
  absltest.main()
