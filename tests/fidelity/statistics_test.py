# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests against plain loops, exact permutation counts, and simulated nulls."""

import itertools
import json
import math

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import statistics


def _unequal_groups(rng, groups, largest):
  sizes = rng.integers(1, largest + 1, groups)
  return np.repeat(np.arange(groups), sizes)


class BootstrapTest(absltest.TestCase):
  def test_values_by_hand(self):
    bootstrap = statistics.Bootstrap(['b', 'a', 'b', 'c'], 200)
    self.assertEqual(bootstrap.index.tolist(), [1, 0, 1, 2])
    self.assertEqual(bootstrap.counts.shape, (200, 3))
    np.testing.assert_array_equal(bootstrap.counts.sum(1), 3)
    np.testing.assert_array_equal(
      bootstrap.per_group(np.array([1, 2, 3, 4])), [2, 4, 4]
    )
    values = np.array([1, 0, 1, 0])
    where = np.array([True, True, False, False])
    self.assertEqual(bootstrap.mean(values).value, 0.5)
    self.assertEqual(bootstrap.mean(values, where).value, 0.5)
    self.assertEqual(bootstrap.mean(values, ~where).value, 0.5)
    test = bootstrap.difference(values, np.array([0, 0, 0, 1]))
    self.assertEqual(test.value, 0.25)

  def test_resamples_equal_a_plain_loop_over_records(self):
    rng = np.random.default_rng(0)
    groups = _unequal_groups(rng, 7, 5)
    a, b = rng.normal(size=(2, len(groups)))
    bootstrap = statistics.Bootstrap(groups, 300, seed=3)
    means, differences = [], []
    for counts in bootstrap.counts:
      rows = np.concatenate(
        [np.tile(np.flatnonzero(groups == g), n) for g, n in enumerate(counts)]
      ).astype(int)
      means.append(a[rows].mean())
      differences.append(a[rows].mean() - b[rows].mean())
    np.testing.assert_allclose(
      bootstrap.mean(a).ci95, np.quantile(means, [0.025, 0.975])
    )
    np.testing.assert_allclose(
      bootstrap.difference(a, b).ci95, np.quantile(differences, [0.025, 0.975])
    )

  def test_p_equals_the_count_over_all_sign_flips(self):
    groups = np.repeat(np.arange(8), [1, 2, 1, 4, 1, 3, 2, 1])
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.6, size=len(groups)), rng.normal(size=len(groups))
    bootstrap = statistics.Bootstrap(groups, 20_000)
    sums = bootstrap.per_group(a - b)
    flips = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = np.mean(np.abs(flips @ sums) >= abs(sums.sum()) - 1e-12)
    self.assertBetween(exact, 0.02, 0.5)
    self.assertAlmostEqual(bootstrap.difference(a, b).p, exact, delta=0.012)
    self.assertEqual(bootstrap.difference(a, b).p, bootstrap.difference(b, a).p)

  def test_statistic_of_sums_is_resampled_with_its_swaps(self):
    rng = np.random.default_rng(2)
    groups = _unequal_groups(rng, 6, 4)
    a, b = rng.integers(0, 5, (2, len(groups), 2, 3)) + 1
    bootstrap = statistics.Bootstrap(groups, 100)
    a, b = bootstrap.per_group(a), bootstrap.per_group(b)
    test = bootstrap.statistic_difference(a, b, metrics.macro_f1)
    observed = metrics.macro_f1(a.sum(0)) - metrics.macro_f1(b.sum(0))
    count = 0
    for swap in bootstrap.swaps:
      mask = swap.astype(bool)[:, None, None]
      one = metrics.macro_f1(np.where(mask, b, a).sum(0))
      other = metrics.macro_f1(np.where(mask, a, b).sum(0))
      count += abs(one - other) >= abs(observed) - 1e-9
    self.assertEqual(test.value, observed)
    self.assertEqual(test.p, (1 + count) / 101)

  def test_no_difference_has_p_one(self):
    bootstrap = statistics.Bootstrap([0, 0, 1, 2, 3, 4], 500)
    a = np.array([1, 0, 1, 0, 1, 1])
    self.assertEqual(bootstrap.difference(a, a).p, 1)
    # Differences that cancel: 0.1 + 0.2 - 0.3 is not zero in floats.
    cancelling = np.array([0.1, 0.2, -0.3, 0, 0, 0])
    self.assertEqual(bootstrap.difference(cancelling, 0 * cancelling).p, 1)

  def test_one_group_proves_nothing(self):
    bootstrap = statistics.Bootstrap(['x'] * 50, 200)
    test = bootstrap.difference(np.ones(50), np.zeros(50))
    self.assertEqual(
      test.to_json(), {'value': 1.0, 'ci95': [None, None], 'p': 1.0}
    )

  def test_undefined_permutations_count_as_no_smaller(self):
    bootstrap = statistics.Bootstrap([0, 1], 100)
    # Sums and sizes: each arm has one group, and none if one is swapped.
    a, b = np.array([[1, 1], [0, 0]]), np.array([[0, 0], [0, 1]])
    test = bootstrap.statistic_difference(a, b, lambda s: s[..., 0] / s[..., 1])
    self.assertEqual((test.value, test.p), (1, 1))

  def test_smallest_p(self):
    bootstrap = statistics.Bootstrap(np.arange(60), 999)
    self.assertEqual(
      bootstrap.difference(np.ones(60), np.zeros(60)).p, 1 / 1000
    )

  def test_empty_stratum_is_null_in_json(self):
    bootstrap = statistics.Bootstrap([0, 1, 2], 50)
    nowhere, values = np.zeros(3, bool), np.ones(3)
    estimate = bootstrap.mean(values, nowhere)
    self.assertTrue(math.isnan(estimate.value))
    self.assertEqual(
      json.dumps(estimate.to_json(), allow_nan=False),
      '{"value": null, "ci95": [null, null]}',
    )
    test = bootstrap.difference(values, values, nowhere)
    self.assertEqual(
      json.dumps(test.to_json(), allow_nan=False),
      '{"value": null, "ci95": [null, null], "p": null}',
    )

  def test_resamples_without_the_stratum_are_left_out(self):
    bootstrap = statistics.Bootstrap(np.arange(5), 400)
    where = np.array([True, True, False, False, False])
    estimate = bootstrap.mean(np.array([0, 1, 0, 0, 0]), where)
    self.assertEqual((estimate.value, estimate.ci95), (0.5, (0.0, 1.0)))
    masked = np.array([0, 1, math.nan, math.nan, math.nan])
    self.assertEqual(bootstrap.mean(masked, where), estimate)

  def test_blocks_of_resamples_change_nothing(self):
    rng = np.random.default_rng(4)
    groups, values = np.arange(9), rng.normal(size=9)
    whole = statistics.Bootstrap(groups, 101).mean(values)
    block, statistics._BLOCK = statistics._BLOCK, 50
    self.addCleanup(setattr, statistics, '_BLOCK', block)
    np.testing.assert_allclose(
      statistics.Bootstrap(groups, 101).mean(values).ci95, whole.ci95
    )

  def test_the_seed_alone_decides(self):
    groups, values = np.arange(20), np.random.default_rng(0).normal(size=20)
    one, same, other = (
      statistics.Bootstrap(groups, 100, seed).mean(values) for seed in (1, 1, 2)
    )
    self.assertEqual(one, same)
    self.assertNotEqual(one, other)

  def test_bad_input_names_what_was_expected(self):
    with self.assertRaisesRegex(errors.InputError, 'at least one record'):
      statistics.Bootstrap([])
    bootstrap = statistics.Bootstrap([0, 1], 10)
    with self.assertRaisesRegex(errors.InputError, 'each of the 2 records'):
      bootstrap.mean(np.ones(3))
    with self.assertRaisesRegex(errors.InputError, '1 not finite'):
      bootstrap.per_group(np.array([0, math.nan]))


class NullSimulationTest(absltest.TestCase):
  """Under a true null, 5% of p are below 0.05 and 95% of intervals cover.

  Each bound is over four standard errors from what should be seen.
  """

  def setUp(self):
    super().setUp()
    self.rng = np.random.default_rng(7)
    self.groups = _unequal_groups(self.rng, 40, 12)
    self.runs = 600

  def _effects(self, scale):
    """One draw for each group, repeated for each of its records."""
    return scale * self.rng.normal(size=40)[self.groups]

  def test_p_is_uniform_where_groups_are_unequal(self):
    def p_values(bootstrap):
      found = []
      for _ in range(self.runs):
        noise = self.rng.normal(size=len(self.groups))
        found.append(
          bootstrap.difference(self._effects(1.0) + noise, 0 * noise).p
        )
      return np.array(found)

    p = p_values(statistics.Bootstrap(self.groups, 400))
    for level in (0.05, 0.25, 0.5, 0.75):
      spread = math.sqrt(level * (1 - level) / self.runs)
      self.assertAlmostEqual(np.mean(p <= level), level, delta=4 * spread)
    # What the groups are for: records taken as independent mislead.
    naive = p_values(statistics.Bootstrap(np.arange(len(self.groups)), 400))
    self.assertGreater(np.mean(naive <= 0.05), 0.15)

  def test_interval_covers_the_true_mean(self):
    bootstrap = statistics.Bootstrap(self.groups, 400)
    covered = 0
    for _ in range(self.runs):
      values = 0.3 + self._effects(1.0)
      low, high = bootstrap.mean(
        values + self.rng.normal(size=len(values))
      ).ci95
      covered += low <= 0.3 <= high
    # Percentile intervals of 40 unequal groups cover a little under 95%.
    self.assertBetween(covered / self.runs, 0.89, 0.98)

  def test_macro_f1_p_is_valid_for_exchangeable_arms(self):
    bootstrap = statistics.Bootstrap(self.groups, 200)
    changed = self.rng.random(len(self.groups)) < 0.5
    rejected = 0
    for _ in range(self.runs):
      tables = []
      for _ in range(2):
        right = self._effects(1.0) + self.rng.normal(size=len(changed)) > -0.5
        table = np.zeros((len(changed), 2, 3))
        claimed = np.where(right, changed, ~changed).astype(int)
        table[np.arange(len(changed)), changed.astype(int), claimed] = 1
        tables.append(bootstrap.per_group(table))
      test = bootstrap.statistic_difference(*tables, metrics.macro_f1)
      rejected += test.p <= 0.05
    self.assertBetween(rejected / self.runs, 0.015, 0.086)

  def test_a_true_difference_is_found(self):
    bootstrap = statistics.Bootstrap(self.groups, 1000)
    values = 1 + self._effects(0.5)
    test = bootstrap.difference(values, 0 * values)
    self.assertLess(test.p, 0.01)
    self.assertGreater(test.ci95[0], 0)


if __name__ == '__main__':
  absltest.main()
