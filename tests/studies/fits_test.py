# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of curves through scores that are known."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.studies import fits
from selfexplain_jax.studies import scaling

_N = (100, 300, 1000, 3000, 10_000, 30_000)


def _curve(scores, examples=_N, groups=30, noise=0.0):
  """Groups of 1,000 records each, right as often as the scores say."""
  random = np.random.default_rng(0)
  size = 1000.0
  return scaling.Curve(
    'exact_match',
    examples,
    tuple(
      np.stack(
        [
          np.clip(size * (score + noise * random.normal(size=groups)), 0, size),
          np.full(groups, size),
        ],
        -1,
      )[:, None]
      for score in scores
    ),
  )


class FitsTest(parameterized.TestCase):
  @parameterized.parameters((0.6, 0.5, 0.4), (0.9, 0.9, 1.0), (0.5, 0.2, 0.15))
  def test_finds_the_law_that_made_the_scores(self, top, drop, rate):
    law = top - drop * (np.array(_N) / 100) ** -rate
    found = fits.fit(_curve(law))
    self.assertEqual(found['form'], fits.POWER_LAW)
    for name, value in (('top', top), ('drop', drop), ('rate', rate)):
      fitted = found['parameters'][name]['value']
      self.assertAlmostEqual(fitted, value, delta=0.01)
    self.assertLess(found['residual'], 2e-3)
    self.assertEmpty(found['at_a_boundary'])
    self.assertEqual(found['band'][0]['examples'], 100)
    self.assertAlmostEqual(found['band'][-1]['examples'], 30_000)

  def test_bands_hold_the_truth_and_grow_with_noise(self):
    law = 0.6 - 0.5 * (np.array(_N) / 100) ** -0.4
    widths = []
    for noise in (0.02, 0.2):
      found = fits.fit(_curve(law, noise=noise))
      ends = np.array([p['ci95'] for p in found['band']])
      widths.append(np.mean(ends[:, 1] - ends[:, 0]))
      for point in found['band']:
        low, high = point['ci95']
        self.assertBetween(point['value'], low - 0.02, high + 0.02)
    self.assertGreater(widths[1], 3 * widths[0])

  def test_a_flat_curve_has_no_rate_to_speak_of(self):
    found = fits.fit(_curve([0.4] * 6))
    for point in found['band']:
      self.assertAlmostEqual(point['value'], 0.4, 4)

  def test_few_points_have_a_trend(self):
    found = fits.fit(_curve([0.1, 0.2, 0.3], (10, 100, 1000)))
    self.assertEqual(found['form'], fits.TREND)
    parameters = found['parameters']
    self.assertAlmostEqual(parameters['at_least']['value'], 0.1)
    self.assertAlmostEqual(parameters['per_tenfold']['value'], 0.1)


if __name__ == '__main__':
  absltest.main()
