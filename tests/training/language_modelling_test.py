# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of next-token training against the slow decoder."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np
import optax

from selfexplain_jax.models import decoder
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

  def test_what_weighs_nothing_gives_zero(self):
    batch = _batch(range(2))
    batch['weights'] = np.zeros_like(batch['weights'])
    batch['weights'][:, 0] = 1.0  # Nothing precedes a first token.
    self.assertEqual(float(language_modelling.loss(MODEL, batch)), 0.0)


class StepTest(parameterized.TestCase):
  @parameterized.parameters((2, 'full'), (4, 'full'), (1, 'products'))
  def test_parts_and_what_is_kept_change_no_step(self, parts, remat):
    optimizer = optax.sgd(0.5)
    expected, found = (
      language_modelling.make_step(optimizer, accumulate)(
        state_lib.start(
          decoder.with_config(tiny.model(layers=2), remat=kept), optimizer
        ),
        _batch(range(4)),
      )
      for accumulate, kept in ((1, 'none'), (parts, remat))
    )
    for name, value in expected[1].items():
      np.testing.assert_allclose(found[1][name], value, 1e-6, err_msg=name)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6),
      jax.tree.leaves(expected[0].model),
      jax.tree.leaves(found[0].model),
    )

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
