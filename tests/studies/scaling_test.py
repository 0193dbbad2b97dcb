# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of ratios of examples, on curves whose ratio is known."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import scaling

_SIZES = (100, 300, 1000, 3000, 10_000, 30_000)
_PEOPLE = 40
_RECORDS = 50  # Of each person.


def _curve(score, sizes=_SIZES, noise=0.0, seeds=1, seed=0) -> scaling.Curve:
  """A curve of exact shares: each person has `score(n)` of its records right.

  With noise, every person differs from it, by the same at all sizes.
  """
  rng = np.random.default_rng(seed)
  offset = noise * rng.normal(size=_PEOPLE)
  sums = []
  for n in sizes:
    right = _RECORDS * (score(n) + offset)
    one = np.stack([right, np.full(_PEOPLE, float(_RECORDS))], -1)
    sums.append(np.repeat(one[:, None], seeds, 1))
  return scaling.Curve('exact_match', tuple(sizes), tuple(sums))


def _linear(ratio: float):
  """A score that is linear in log n; ratio examples do what one did."""
  return lambda n: 0.1 + 0.08 * math.log(n / ratio / 10)


def _saturating(ratio: float):
  return lambda n: 0.8 * (n / ratio) / (n / ratio + 800)


class ScalingTest(parameterized.TestCase):
  @parameterized.parameters(0.2, 1.0, 3.0, 7.5)
  def test_a_shifted_line_gives_its_shift(self, ratio):
    found = scaling.examples_ratio(
      _curve(_linear(1)), _curve(_linear(ratio)), resamples=50
    )
    self.assertAlmostEqual(found['value'], ratio, places=9)
    self.assertSameElements(found, ('value', 'ci95'))
    for end in found['ci95']:  # All people are alike.
      self.assertAlmostEqual(end, ratio, places=9)

  @parameterized.parameters(0.5, 2.0, 4.0)
  def test_a_curved_one_is_recovered_about(self, ratio):
    found = scaling.examples_ratio(
      _curve(_saturating(1)), _curve(_saturating(ratio)), resamples=50
    )
    self.assertAlmostEqual(found['value'] / ratio, 1, delta=0.1)

  def test_other_sizes_and_more_seeds_do_not_matter(self):
    found = scaling.examples_ratio(
      _curve(_linear(1), seeds=3),
      _curve(_linear(3), (50, 700, 21_000)),
      resamples=20,
    )
    self.assertAlmostEqual(found['value'], 3, places=9)

  def test_the_interval_covers_and_narrows(self):
    # Of two arms on the same people, what they have in common cancels out; so
    # each arm's people differ on their own.
    def width(noise):
      found = scaling.examples_ratio(
        _curve(_linear(1), noise=noise, seed=1),
        _curve(_linear(3), noise=noise, seed=2),
        resamples=1000,
      )
      low, high = found['ci95']
      self.assertLess(low, found['value'])
      self.assertGreater(high, found['value'])
      return math.log(high / low)

    # The standard error of a mean of 40 is noise / sqrt(40) for each of the
    # two, the slope 0.08, and an interval 2 * 1.96 of that.
    for noise in (0.02, 0.1):
      exact = 3.92 * noise * math.sqrt(2 / 40) / 0.08
      self.assertAlmostEqual(width(noise) / exact, 1, delta=0.35)

  def test_people_are_resampled_for_both_arms_alike(self):
    found = scaling.examples_ratio(
      _curve(_linear(1), noise=0.1, seed=1),
      _curve(_linear(3), noise=0.1, seed=1),
      resamples=200,
    )
    low, high = found['ci95']
    self.assertAlmostEqual(low, 3, places=6)
    self.assertAlmostEqual(high, 3, places=6)

  def test_a_curve_that_stays_below(self):
    high, low = _curve(lambda n: 0.5 + n / 1e6), _curve(lambda n: n / 1e6)
    found = scaling.examples_ratio(high, low, resamples=20)
    self.assertIsNone(found['value'])
    self.assertAlmostEqual(found['at_least'], 300)
    self.assertEqual(found['ci95'], [None, None])
    found = scaling.examples_ratio(low, high, resamples=20)
    self.assertAlmostEqual(found['at_most'], 1 / 300)

  def test_an_end_that_resamples_leave_unbounded(self):
    # The other's best is just above the reference's worst.
    found = scaling.examples_ratio(
      _curve(_linear(1), noise=0.2, seed=1),
      _curve(_linear(200), noise=0.2, seed=2),
      resamples=500,
    )
    low, high = found['ci95']
    self.assertIsNotNone(low)
    self.assertIsNone(high)

  def test_a_dip_is_smoothed(self):
    dipped = [0.1, 0.3, 0.2, 0.4]
    sizes = (100, 1000, 10_000, 100_000)
    score = dict(zip(sizes, dipped)).get
    found = scaling.examples_ratio(
      _curve(score, sizes), _curve(score, sizes), resamples=20
    )
    self.assertAlmostEqual(found['value'], 1)

  def test_equal_flat_curves_say_nothing(self):
    flat = _curve(lambda n: 0.5)
    found = scaling.examples_ratio(flat, flat, resamples=20)
    self.assertEqual(found, {'value': None, 'ci95': [None, None]})

  def test_a_curve_that_does_not_rise_says_nothing_of_what_it_crosses(self):
    rising, falling = _linear(1), {100: 0.45, 1000: 0.4, 10_000: 0.35}
    other = _curve(falling.get, tuple(falling))
    low, high = (rising(n) for n in (_SIZES[0], _SIZES[-1]))
    self.assertBetween(0.4, low, high)
    for pair in ((_curve(rising), other), (other, _curve(rising))):
      found = scaling.examples_ratio(*pair, resamples=20)
      self.assertEqual(found, {'value': None, 'ci95': [None, None]})

  def test_points(self):
    points = _curve(lambda n: n / 1e5, seeds=2).points(
      statistics.Bootstrap(range(_PEOPLE), 20)
    )
    self.assertEqual([p['examples'] for p in points], list(_SIZES))
    self.assertAlmostEqual(points[-1]['value'], 0.3)
    self.assertAlmostEqual(points[-1]['ci95'][0], 0.3)

  def test_curves_that_make_no_sense(self):
    for sizes in ((), (0, 1), (3, 2), (2, 2)):
      with self.assertRaisesRegex(errors.InputError, 'ascending'):
        _curve(lambda n: 0.5, sizes)
    one = _curve(_linear(1))
    other = scaling.Curve('simulator', one.examples, one.sums)
    with self.assertRaisesRegex(errors.InputError, 'of simulator over 40'):
      scaling.examples_ratio(one, other)


if __name__ == '__main__':
  absltest.main()
