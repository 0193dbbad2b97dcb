# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of directions of concepts against the definitions, written out."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import mean_differences


class MeanDifferencesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    self.holds = rng.random((5, 300)) < 0.3
    self.holds[3] = self.holds[1]
    self.holds[4] = False
    # The second layer moves with the first description, in one direction.
    self.activations = rng.normal(size=(2, 300, 6)) + 3
    self.activations[1, self.holds[0], 2] += 5
    parts = ((0, 100), (100, 117), (117, 300))
    self.found = mean_differences.mean_differences(
      (self.holds[:, a:b], self.activations[:, a:b]) for a, b in parts
    )

  def test_directions_are_differences_of_means(self):
    for layer, activations in enumerate(self.activations):
      for c in range(4):
        expected = activations[self.holds[c]].mean(0) - activations.mean(0)
        np.testing.assert_allclose(
          self.found.direction_LxCxD[layer, c],
          expected / np.linalg.norm(expected),
          atol=1e-5,
        )
    self.assertGreater(self.found.direction_LxCxD[1, 0, 2], 0.99)

  def test_correlations_are_those_of_the_best_linear_probe(self):
    for layer, activations in enumerate(self.activations):
      design = np.concatenate([activations, np.ones((300, 1))], 1)
      for c in range(4):
        marks = self.holds[c].astype(float)
        weights, *_ = np.linalg.lstsq(design, marks)
        expected = np.corrcoef(design @ weights, marks)[0, 1]
        self.assertAlmostEqual(
          self.found.correlation_LxC[layer, c], expected, delta=1e-6
        )
    self.assertGreater(self.found.correlation_LxC[1, 0], 0.8)
    self.assertLess(self.found.correlation_LxC[0, 0], 0.3)

  def test_scales_of_dimensions_do_not_count(self):
    scale = np.array([1e3, 1, 1, 1e-2, 1, 1])
    found = mean_differences.mean_differences(
      [(self.holds, self.activations * scale)]
    )
    np.testing.assert_allclose(
      found.correlation_LxC, self.found.correlation_LxC, atol=1e-6
    )

  def test_activations_that_do_not_vary(self):
    found = mean_differences.mean_differences(
      [(self.holds, np.ones_like(self.activations))]
    )
    self.assertEqual(np.abs(found.direction_LxCxD).max(), 0)
    self.assertEqual(found.correlation_LxC.max(), 0)

  def test_no_token(self):
    with self.assertRaisesRegex(errors.InputError, 'at least one token'):
      mean_differences.mean_differences([])

  def test_what_holds_nowhere_has_no_direction(self):
    self.assertEqual(np.abs(self.found.direction_LxCxD[:, 4]).max(), 0)
    self.assertEqual(self.found.correlation_LxC[:, 4].max(), 0)
    self.assertEqual(self.found.tokens_C[4], 0)

  def test_what_holds_at_the_same_tokens(self):
    np.testing.assert_array_equal(self.found.same(1), [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(self.found.same(0), [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(self.found.tokens_C, self.holds.sum(1))


if __name__ == '__main__':
  absltest.main()
