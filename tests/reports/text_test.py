# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of figures as plain text."""

from absl.testing import absltest

from selfexplain_jax.reports import text
from tests.reports import fixtures

UNDEFINED = {'value': None, 'ci95': [None, None], 'p': None}


def _estimate(value, low, high, **p):
  return {'value': value, 'ci95': [low, high], **p}


def _scores(value, low=0.25, high=0.75):
  metrics = ('exact_match', 'exact_match_changed', 'macro_f1', 'content_match')
  return {metric: _estimate(value, low, high) for metric in metrics}


def _figures(rows, *gaps, **others):
  """Figures with gaps of exact match, where changed, and macro F1."""
  names = ('exact_match', 'exact_match_changed', 'macro_f1')
  return {
    'task': 'patching',
    'n': 1234,
    'groups': 56,
    'split': 'test',
    'rows': rows,
    'tests': {'self_minus_twin': dict(zip(names, gaps, strict=True))},
    **others,
  }


def _cells(line):
  """The cells of a line: two spaces or more stand between them."""
  return [cell.strip() for cell in line.split('  ') if cell.strip()]


GAPS = (
  _estimate(0.0625, -0.125, 0.3125, p=0.00123),
  _estimate(-0.5, -0.75, -0.25, p=0.0001),
  _estimate(0.25, 0.125, 0.375, p=1.0),
)


class TextTest(absltest.TestCase):
  def test_every_arm_and_gap_has_its_line_explainers_first(self):
    rows = {
      'majority': _scores(0.125, 0.0625, 0.1875),
      'self': _scores(0.5),
    }
    table = text.table(_figures(rows, *GAPS))
    self.assertEqual(
      [_cells(line) for line in table.splitlines()[2:5]],
      [
        ['arm', 'exact match', 'where changed', 'macro F1', 'content'],
        ['self', *['0.500 [0.250, 0.750]'] * 4],
        ['majority', *['0.125 [0.062, 0.188]'] * 4],
      ],
    )
    self.assertEqual(
      _cells(table.splitlines()[-1]),
      [
        'twin',
        '+0.062 [-0.125, 0.312] p=0.0012',
        '-0.500 [-0.750, -0.250] p=0.0001',
        '+0.250 [0.125, 0.375] p=1.0000',
      ],
    )

  def test_gaps_over_balanced_cells_come_after_those_over_all(self):
    table = fixtures.predictions(60, arms=('self', 'metadata'))
    figures = fixtures.figures(table)
    other = {'self_minus_metadata': dict.fromkeys(_scores(0), GAPS[0])}
    figures['balanced_tests'] = other
    lines = text.table(figures).splitlines()
    self.assertLen([line for line in lines if 'self minus' in line], 2)
    everywhere, balanced = (
      line for line in lines[5:] if line.startswith('metadata')
    )
    self.assertEqual(balanced.count('+0.062 [-0.125, 0.312] p=0.0012'), 4)
    self.assertNotIn('+0.062 [-0.125', everywhere)

  def test_columns_stand_below_their_names_and_fit_a_terminal(self):
    table = fixtures.predictions(60)
    lines = text.table(fixtures.figures(table)).splitlines()
    widths = {len(line) for line in lines[2:] if not line.endswith(':')}
    self.assertEqual(widths, {0, 114, 120})

  def test_what_is_undefined_is_called_so(self):
    rows = {'self': _scores(None, None, None)}
    shown = text.table(_figures(rows, *[UNDEFINED] * 3))
    self.assertEqual(shown.count('undefined'), 4 + 3)
    self.assertNotIn('None', shown)
    self.assertNotIn('p=', shown)

  def test_a_figure_of_a_single_person_has_no_interval(self):
    rows = {'self': _scores(0.5, None, None)}
    gap = _estimate(0.25, None, None, p=1.0)
    shown = text.table(_figures(rows, *[gap] * 3))
    self.assertIn('0.500', shown)
    self.assertIn('+0.250 p=1.0000', shown)
    self.assertNotIn('[', shown)

  def test_without_an_explainer_there_are_arms_alone(self):
    table = fixtures.predictions(40, arms=('metadata', 'majority'))
    shown = text.table(fixtures.figures(table) | {'balanced_tests': {}})
    self.assertNotIn('minus', shown)
    self.assertLen(shown.splitlines(), 5)

  def test_first_line_says_what_was_asked(self):
    rows = {'self': _scores(0.5)}
    held_out, seen = (
      text.table(_figures(rows, *GAPS, split=split)).splitlines()[0]
      for split in ('test', 'train')
    )
    self.assertEqual(
      held_out,
      '1234 questions about 56 people of split test, asked about in no '
      'training question',
    )
    self.assertEqual(seen, '1234 questions of split train, about 56 people')


if __name__ == '__main__':
  absltest.main()
