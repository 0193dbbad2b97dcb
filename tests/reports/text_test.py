# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of figures as plain text."""

import re

from absl.testing import absltest

from selfexplain_jax.reports import text


def _estimate(value, low, high, **p):
  return {'value': value, 'ci95': [low, high], **p}


def _scores(value, low=0.25, high=0.75):
  metrics = (
    'exact_match',
    'exact_match_changed',
    'exact_match_unchanged',
    'macro_f1',
    'content_match',
  )
  return {metric: _estimate(value, low, high) for metric in metrics}


def _figures(rows, gap):
  return {
    'n': 1234,
    'groups': 56,
    'split': 'test',
    'rows': rows,
    'tests': {'self_minus_twin': {'exact_match': gap, 'macro_f1': gap}},
  }


GAP = _estimate(0.0625, -0.125, 0.3125, p=0.00123)


class TextTest(absltest.TestCase):
  def test_a_line_for_each_arm_and_gap(self):
    rows = {'self': _scores(0.5), 'majority': _scores(0.125, 0.0625, 0.1875)}
    lines = text.table(_figures(rows, GAP)).splitlines()
    for told in ('1234', '56', 'test'):
      self.assertIn(told, lines[0])
    own, gap = (line for line in lines if line.startswith('self '))
    self.assertEqual(re.findall(r'\S+ \[.*?\]', own)[0], '0.500 [0.250, 0.750]')
    (other,) = (line for line in lines if line.startswith('majority'))
    self.assertIn('0.125 [0.062, 0.188]', other)
    self.assertStartsWith(gap, 'self minus twin ')
    self.assertIn('+0.062 [-0.125, 0.312]', gap)
    self.assertIn('p = 0.0012', gap)

  def test_columns_stand_below_their_names(self):
    rows = {'self': _scores(0.5), 'majority': _scores(None, None, None)}
    lines = text.table(_figures(rows, GAP)).splitlines()
    head = next(line for line in lines if line.startswith('arm'))
    for arm in rows:
      line = next(line for line in lines if line.startswith(arm))
      self.assertLen(line, len(head))

  def test_what_is_undefined_is_called_so(self):
    rows = {'self': _scores(None, None, None)}
    gap = _estimate(None, None, None, p=None)
    shown = text.table(_figures(rows, gap))
    self.assertIn('p = undefined', shown)
    self.assertNotIn('None', shown)

  def test_a_figure_of_a_single_group_has_no_interval(self):
    rows = {'self': _scores(0.5, None, None)}
    shown = text.table(_figures(rows, _estimate(0.25, None, None, p=1.0)))
    self.assertIn('0.500', shown)
    self.assertIn('+0.250', shown)
    self.assertNotIn('[', shown)


if __name__ == '__main__':
  absltest.main()
