# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of sums by person, against what an evaluation itself reports."""

import math
import pathlib

from absl.testing import absltest
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import sums


def _outcomes(seed: int, records: int = 60) -> metrics.Outcomes:
  """Outcomes on the same records for every seed, claims drawn from it."""
  same, rng = np.random.default_rng(0), np.random.default_rng(seed)
  changed = same.random(records) < 0.5
  group = np.array([f'person {i}' for i in same.integers(12, size=records)])
  claimed = rng.integers(-1, 2, size=records).astype(np.int8)
  content = (rng.random(records) < 0.6) & (claimed >= 0)
  return metrics.Outcomes(
    changed, claimed, content & (claimed == changed), content, group
  )


# Columns that say what was asked and what happened.
_WORDS = (
  *('place', 'treatment', 'text', 'token_text', 'counterfactual_text'),
  *('span_text', 'replacement_text', 'clean_token', 'treated_token'),
)


class SumsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def write(self, name, rows):
    parquet.write_table(
      pa.Table.from_pylist(rows), self.folder / f'{name}.parquet'
    )

  def write_changes(self):
    """Writes predictions of two arms, the records in another order for one."""
    balanced = np.arange(60) % 3 > 0
    rows = []
    for arm, seed, order in (
      ('self', 1, range(60)),
      ('shuffled_vector', 2, reversed(range(60))),
    ):
      outcomes = _outcomes(seed)
      rows += [
        {
          'arm': arm,
          'group': str(outcomes.group[i]),
          'changed': bool(outcomes.changed[i]),
          'claimed': int(outcomes.claimed[i]),
          'exact': bool(outcomes.exact[i]),
          'balanced': bool(balanced[i]),
          'output': 'words',
          **dict.fromkeys(_WORDS, f'record {i}'),
        }
        for i in order
      ]
    self.write('predictions', rows)
    return balanced

  def test_figures_are_those_of_the_evaluation(self):
    balanced = self.write_changes()
    arms = {'self': 1, 'shuffled_vector': 2}
    _, found = sums.read(self.folder, 'patching', tuple(arms))
    for arm, seed in arms.items():
      outcomes = _outcomes(seed)
      expected = metrics.score(
        outcomes, statistics.Bootstrap(outcomes.group, 10)
      )
      values = {m: sums.value(m, found[arm][m]) for m in found[arm]}
      self.assertSameElements(values, sums.METRICS['patching'])
      for metric in ('exact_match', 'exact_match_changed', 'macro_f1'):
        self.assertAlmostEqual(values[metric], expected[metric]['value'])
      self.assertAlmostEqual(
        values['exact_match_balanced'], outcomes.exact[balanced].mean()
      )

  def test_intervals_and_tests_are_those_of_the_evaluation(self):
    self.write_changes()
    _, found = sums.read(self.folder, 'ablation', ('self', 'shuffled_vector'))
    one, other = _outcomes(1), _outcomes(2)
    by_record = statistics.Bootstrap(one.group, 500)
    by_group = statistics.Bootstrap(range(len(set(one.group))), 500)
    expected = metrics.compare(one, other, by_record)
    for metric, test in expected.items():
      pair = (found[arm][metric][:, None] for arm in found)
      self.assertEqual(
        by_group.statistic_difference(*pair, sums.over_seeds(metric)).to_json(),
        test,
      )

  def test_sums_survive_json(self):
    self.write_changes()
    _, found = sums.read(self.folder, 'patching', ('self',))
    again = sums.from_json(sums.to_json(found['self']))
    for metric, values in found['self'].items():
      np.testing.assert_array_equal(again[metric], values)

  def test_other_questions_and_other_effects_have_another_digest(self):
    self.write_changes()
    before, _ = sums.read(self.folder, 'patching', ('self',))
    rows = parquet.read_table(self.folder / 'predictions.parquet').to_pylist()
    self.write('predictions', rows[::-1])
    self.assertEqual(sums.read(self.folder, 'patching', ('self',))[0], before)
    for name in ('group', 'text', 'treated_token'):
      changed = [dict(row) for row in rows]
      changed[0][name] = 'something else'
      self.write('predictions', changed)
      self.assertNotEqual(
        sums.read(self.folder, 'patching', ('self',))[0], before
      )

  def test_features(self):
    """Silent vectors and those without labels are left out, as in metrics."""
    row = dict(arm='self', place='feature', exact_match=1.0, detection=0.5)
    row |= dict(layer=1, feature=2)
    self.write(
      'predictions',
      [
        {**row, 'group': 'b', 'record': 3, 'simulator': 0.25},
        {**row, 'group': 'a', 'record': 5, 'simulator': math.nan},
        {**row, 'group': 'c', 'record': 7, 'simulator': 0.5},  # Silent.
        {
          **row,
          'group': 'd',
          'record': 8,
          'simulator': 0.5,
          'place': 'activation',
        },
      ],
    )
    self.write('exemplars', [{'record': r, 'tokens': ['x']} for r in (3, 5, 8)])
    _, found = sums.read(self.folder, 'features', ('self',))
    np.testing.assert_array_equal(
      found['self']['exact_match'], [[1, 1], [1, 1]]
    )
    np.testing.assert_array_equal(
      found['self']['simulator'], [[0, 0], [0.25, 1]]
    )

  def test_figures_are_means_over_seeds(self):
    # Of two seeds with 1 of 2 and 3 of 3, not 4 of 5.
    seeds = np.array([[[1.0, 2], [3, 3]]])
    self.assertEqual(sums.over_seeds('exact_match')(seeds)[0], 0.75)

  def test_missing_parts_are_named(self):
    with self.assertRaisesRegex(errors.InputError, 'predictions.parquet not'):
      sums.read(self.folder, 'patching', ('self',))
    self.write_changes()
    with self.assertRaisesRegex(errors.InputError, "no answers of arm 'twin'"):
      sums.read(self.folder, 'patching', ('twin',))


if __name__ == '__main__':
  absltest.main()
