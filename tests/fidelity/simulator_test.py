# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of simulator correlations on features with a known answer."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import optimize

from selfexplain_jax import errors
from selfexplain_jax.fidelity import simulator

BOTH = (simulator.pooled, simulator.per_sequence)


def _random(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return rng.exponential(size=shape) * (rng.random(shape) < 0.3)


class SimulatorTest(parameterized.TestCase):
  @parameterized.parameters(*BOTH)
  def test_right_wrong_and_empty_descriptions(self, score):
    marks = np.random.default_rng(1).random((40, 30)) < 0.2
    real = np.stack([3.0 * marks] * 5)
    chance = np.random.default_rng(2).random((40, 30)) < 0.2
    none, every = np.zeros_like(marks), np.ones_like(marks)
    predicted = np.stack([marks, ~marks, chance, none, every])
    found = score(real, predicted)
    np.testing.assert_allclose(found[[0, 1, 3, 4]], [1, -1, 0, 0], atol=1e-12)
    self.assertLess(abs(found[2]), 0.1)

  @parameterized.parameters(*BOTH)
  def test_nothing_to_predict_is_undefined(self, score):
    silent = np.zeros((4, 6))
    predicted = _random(4, 6)
    # A mean of these is rounded, and they still are constant.
    for real in (silent, silent + 0.1, np.zeros((0, 6)), np.zeros((4, 0))):
      found = score(real, predicted[: real.shape[0], : real.shape[1]])
      self.assertEqual(found.shape, ())
      self.assertTrue(np.isnan(found))
    self.assertEqual(score(predicted, silent + 0.1), 0)

  def test_by_hand(self):
    real = np.array([[0, 0, 1, 1], [2, 2, 2, 4], [5, 5, 5, 5], [0, 0, 0, 1]])
    predicted = np.array([[0, 1, 0, 1], [0, 0, 0, 1], [0, 1, 1, 1], [0] * 4])
    # r = 0 and 1; the third is constant, and the fourth not predicted.
    self.assertAlmostEqual(
      float(simulator.per_sequence(real, predicted)), 1 / 3
    )
    # Sums over the 16 tokens: of either, of their squares, and of products.
    self.assertEqual((real.sum(), predicted.sum()), (33, 6))
    self.assertEqual(((real**2).sum(), (real * predicted).sum()), (131, 20))
    self.assertAlmostEqual(
      float(simulator.pooled(real, predicted)),
      (16 * 20 - 33 * 6) / np.sqrt((16 * 131 - 33**2) * (16 * 6 - 6**2)),
    )

  def test_against_numpy_one_feature_at_a_time(self):
    real, predicted = _random(7, 9, 20), _random(7, 9, 20, seed=1)
    real[2, 3:5], real[4, 1:], predicted[5, :4] = 0, 1.5, 2
    pooled = simulator.pooled(real, predicted)
    each = simulator.per_sequence(real, predicted)
    for f in range(7):
      expected = np.corrcoef(real[f].ravel(), predicted[f].ravel())[0, 1]
      self.assertAlmostEqual(pooled[f], expected)
      values = []
      for a, b in zip(real[f], predicted[f], strict=True):
        if a.std() > 0:
          values.append(np.corrcoef(a, b)[0, 1] if b.std() > 0 else 0)
      self.assertAlmostEqual(each[f], np.mean(values))
      self.assertEqual(simulator.pooled(real[f], predicted[f]), pooled[f])
      self.assertEqual(simulator.per_sequence(real[f], predicted[f]), each[f])

  @parameterized.parameters(1, -1)
  def test_after_least_squares_it_is_the_absolute_value(self, sign):
    real = _random(5, 8)
    predicted = sign * (real + _random(5, 8, seed=3))

    def loss(line):
      return ((line[0] * predicted + line[1] - real) ** 2).sum()

    slope, offset = optimize.minimize(loss, [0.0, 0.0]).x
    fitted = simulator.pooled(real, slope * predicted + offset)
    raw = simulator.pooled(real, predicted)
    self.assertGreater(sign * raw, 0.3)
    self.assertAlmostEqual(float(fitted), abs(float(raw)), places=6)

  def test_scale_matters_only_between_sequences(self):
    # A prediction that ignores how strong each sequence is.
    marks = np.array([[0, 1, 0, 0], [0, 0, 1, 0]])
    real = marks * np.array([[1.0], [100.0]])
    self.assertAlmostEqual(float(simulator.per_sequence(real, marks)), 1)
    self.assertLess(simulator.pooled(real, marks), 0.7)

  @parameterized.parameters(*BOTH)
  def test_refuses(self, score):
    ones = np.ones((3, 4, 5))
    with self.assertRaisesRegex(errors.InputError, 'one shape'):
      score(ones, ones[0])
    with self.assertRaisesRegex(errors.InputError, 'one shape'):
      score(ones[0, 0], ones[0, 0])
    for value in (np.nan, np.inf):
      with self.assertRaisesRegex(errors.InputError, '0 and 60 values'):
        score(ones, ones * value)


if __name__ == '__main__':
  absltest.main()
