# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is in the plot of curves."""

from xml.etree import ElementTree

from absl.testing import absltest

from selfexplain_jax.studies import curve_plot

_SVG = '{http://www.w3.org/2000/svg}'


def _point(examples, value, ci95=(None, None)):
  return {'examples': examples, 'value': value, 'ci95': list(ci95)}


class CurvePlotTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.panels = {
      'exact_match': {
        'self': [_point(100, 0.2, (0.1, 0.3)), _point(1000, 0.4)],
        'nearest_neighbour': [_point(100, 0.1), _point(1000, None)],
      },
      'simulator': {'self': [_point(100, 0.5)]},
    }

  def test_names_of_arms_and_axes(self):
    svg = curve_plot.curves('says <this>', self.panels)
    root = ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter(f'{_SVG}text')]
    self.assertContainsSubset(
      ('self', 'nearest neighbour', 'exact match', 'simulator'), texts
    )
    self.assertEqual(texts.count('training examples'), 2)
    self.assertContainsSubset(('100', '300', '1,000'), texts)
    self.assertEqual(root.get('aria-label'), 'says <this>')

  def test_an_arm_looks_the_same_where_another_is_absent(self):
    def colours(panels):
      svg = curve_plot.curves('a', panels)
      return [line for line in svg.split('stroke: ') if '#d55e00' in line[:7]]

    points = [_point(100, 0.2), _point(1000, 0.4)]
    later = {'one': {'self': points}, 'other': {'stranger': points}}
    self.assertTrue(colours(later))
    self.assertFalse(colours({'one': {'self': points}}))
    svg = curve_plot.curves('a', later)
    self.assertIn('>stranger<', svg)

  def test_scores_below_zero_are_in_sight(self):
    def ticks(value):
      svg = curve_plot.curves(
        'a', {'simulator': {'self': [_point(100, value)]}}
      )
      root = ElementTree.fromstring(svg)
      return ' '.join(e.text or '' for e in root.iter(f'{_SVG}text'))

    self.assertIn('\N{MINUS SIGN}', ticks(-0.5))
    self.assertNotIn('\N{MINUS SIGN}', ticks(0.5))

  def test_equal_input_gives_equal_bytes(self):
    drawn = [curve_plot.curves('a', self.panels) for _ in range(2)]
    self.assertEqual(*drawn)
    self.panels['simulator']['self'][0]['value'] = 0.25
    self.assertNotEqual(curve_plot.curves('a', self.panels), drawn[0])


if __name__ == '__main__':
  absltest.main()
