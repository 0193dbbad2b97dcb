# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of every metric against values worked out by hand."""

import dataclasses
import json

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import statistics

# Ten records of five people. Truth: six changed, four unchanged.
#   said changed:    3 of the changed (2 with the right content), 1 unchanged
#   said unchanged:  2 of the changed (1 with the right content), 2 unchanged
#                    (both right)
#   invalid:         1 of the changed, 1 of the unchanged
CHANGED = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
CLAIMED = np.array([1, 1, 1, 0, 0, -1, 1, 0, 0, -1], np.int8)
CONTENT = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0], bool)
EXACT = np.array([1, 1, 0, 0, 0, 0, 0, 1, 1, 0], bool)
GROUP = np.array(list('aabbccddee'))


def _outcomes(**changes):
  fields = dict(
    changed=CHANGED, claimed=CLAIMED, exact=EXACT, content=CONTENT, group=GROUP
  )
  return metrics.Outcomes(**(fields | changes))


def _always(verdict):
  """An arm that always gives one verdict, with the right content."""
  right = np.full(10, verdict, bool) == CHANGED
  return _outcomes(
    claimed=np.full(10, verdict, np.int8),
    content=np.ones(10, bool),
    exact=right,
  )


class MetricsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.bootstrap = statistics.Bootstrap(GROUP, 500)

  def test_confusion_by_hand(self):
    self.assertEqual(
      metrics.confusion(_outcomes()).tolist(), [[2, 1, 1], [2, 3, 1]]
    )

  @parameterized.parameters(
    ('exact_match', 4 / 10),
    ('exact_match_changed', 2 / 6),
    ('exact_match_unchanged', 2 / 4),
    ('content_match', 5 / 10),
    ('valid_rate', 8 / 10),
    ('claimed_changed_rate', 4 / 10),
    # unchanged: 2 hits, 2 false alarms, 2 misses; changed: 3, 1, 3.
    ('macro_f1', (4 / 8 + 6 / 10) / 2),
    # Without the invalid ones: unchanged 2, 2, 1; changed 3, 1, 2.
    ('macro_f1_valid_only', (4 / 7 + 6 / 9) / 2),
  )
  def test_score_by_hand(self, name, value):
    row = metrics.score(_outcomes(), self.bootstrap)[name]
    self.assertAlmostEqual(row['value'], value, places=12)
    low, high = row['ci95']
    self.assertBetween(value, low - 1e-12, high + 1e-12)
    # Each of the two people without a change has one of two right.
    self.assertEqual(low == high, name == 'exact_match_unchanged')

  def test_always_one_verdict_has_no_f1_for_the_other(self):
    scores = metrics.score(_always(True), self.bootstrap)
    self.assertAlmostEqual(scores['macro_f1']['value'], 12 / 16 / 2)
    self.assertEqual(scores['content_match']['value'], 1)
    self.assertEqual(scores['exact_match']['value'], 0.6)

  def test_invalid_is_a_miss_and_no_false_alarm(self):
    table = np.array([[4, 0, 0], [0, 2, 2]])
    # unchanged: 4 hits, no error; changed: 2 hits, 2 misses.
    self.assertAlmostEqual(metrics.macro_f1(table), (1 + 4 / 6) / 2)
    self.assertAlmostEqual(metrics.macro_f1(table[:, :2]), 1)

  def test_empty_strata_are_null(self):
    none = np.zeros(10, bool)
    outcomes = _outcomes(
      changed=none,
      claimed=np.zeros(10, np.int8),
      exact=CONTENT,
      content=CONTENT,
    )
    scores = metrics.score(outcomes, self.bootstrap)
    null = {'value': None, 'ci95': [None, None]}
    self.assertEqual(scores['exact_match_changed'], null)
    self.assertEqual(scores['macro_f1'], null)
    self.assertEqual(scores['exact_match_unchanged'], scores['exact_match'])
    json.dumps(scores, allow_nan=False)

  def test_compare_by_hand(self):
    tests = metrics.compare(_outcomes(), _always(False), self.bootstrap)
    self.assertEqual(
      set(tests), {'exact_match', 'exact_match_changed', 'macro_f1'}
    )
    self.assertAlmostEqual(tests['exact_match']['value'], 0.4 - 0.4)
    self.assertEqual(tests['exact_match']['p'], 1)
    self.assertAlmostEqual(tests['exact_match_changed']['value'], 2 / 6)
    self.assertAlmostEqual(
      tests['macro_f1']['value'], (4 / 8 + 6 / 10) / 2 - 8 / 14 / 2
    )

  def test_compare_with_itself_finds_nothing(self):
    for test in metrics.compare(
      _outcomes(), _outcomes(), self.bootstrap
    ).values():
      self.assertEqual(test, {'value': 0, 'ci95': [0, 0], 'p': 1})
      self.assertEqual({type(test['value']), type(test['p'])}, {float})

  def test_compare_is_antisymmetric(self):
    a, b = _outcomes(), _always(True)
    forth = metrics.compare(a, b, self.bootstrap)
    back = metrics.compare(b, a, self.bootstrap)
    for name, test in forth.items():
      self.assertAlmostEqual(test['value'], -back[name]['value'])
      self.assertEqual(test['p'], back[name]['p'])

  def test_by_cell_by_hand(self):
    places = ['last name'] * 4 + ['first name'] * 6
    treatments = ['2 to 3', '10'] * 3 + ['2 to 3'] * 4
    self.assertEqual(
      metrics.by_cell(_outcomes(), places, treatments),
      {
        'places': ['first name', 'last name'],
        'treatments': ['10', '2 to 3'],
        'n': [[1, 5], [2, 2]],
        'exact_match': [[0.0, 2 / 5], [1 / 2, 1 / 2]],
        'changed_rate': [[1.0, 1 / 5], [1.0, 1.0]],
      },
    )

  def test_by_cell_leaves_empty_cells_null(self):
    tables = metrics.by_cell(
      _outcomes(), ['x'] * 5 + ['y'] * 5, ['0'] * 5 + ['1'] * 5
    )
    self.assertEqual(tables['n'], [[5, 0], [0, 5]])
    self.assertEqual(tables['exact_match'], [[0.4, None], [None, 0.4]])
    json.dumps(tables, allow_nan=False)

  def test_outcomes_of_claims(self):
    claim = claims.Claim
    outcomes = metrics.Outcomes.of(
      [claim(True, ' Paris'), claim(False, 'rome'), claim(True, 'x')],
      [claim(True, 'paris '), claim(True, 'rome'), None],
      ['a', 'b', 'b'],
    )
    expected = dict(
      changed=[True, False, True],
      claimed=[1, 1, -1],
      exact=[True, False, False],
      content=[True, True, False],
      group=['a', 'b', 'b'],
    )
    for field in dataclasses.fields(outcomes):
      self.assertEqual(
        getattr(outcomes, field.name).tolist(), expected[field.name]
      )

  @parameterized.parameters(
    (dict(claimed=CLAIMED[:9]), 'one length'),
    (dict(claimed=CLAIMED * 2), '1, 0 or -1'),
    (dict(changed=CHANGED.astype(int)), 'bool'),
    (dict(exact=CONTENT), 'row 3'),
    (dict(content=np.ones(10, bool)), 'row 2'),
    (dict(content=CONTENT | (CLAIMED == -1)), 'row 5'),
  )
  def test_impossible_outcomes_are_refused(self, changes, message):
    with self.assertRaisesRegex(errors.InputError, message):
      _outcomes(**changes)

  def test_other_records_are_refused(self):
    other = statistics.Bootstrap(GROUP[::-1], 10)
    with self.assertRaisesRegex(errors.InputError, 'groups of the bootstrap'):
      metrics.score(_outcomes(), other)
    flipped = _outcomes(changed=~CHANGED, exact=CONTENT & (CLAIMED == ~CHANGED))
    with self.assertRaisesRegex(errors.InputError, 'differs in 10 rows'):
      metrics.compare(_outcomes(), flipped, self.bootstrap)


if __name__ == '__main__':
  absltest.main()
