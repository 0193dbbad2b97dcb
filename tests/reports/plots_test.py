# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is in the plots."""

from xml.etree import ElementTree

from absl.testing import absltest

from selfexplain_jax.reports import plots

_SVG = '{http://www.w3.org/2000/svg}'


def _texts(svg):
  return [
    element.text for element in ElementTree.fromstring(svg).iter(f'{_SVG}text')
  ]


def _map(values, name='a', **kwargs):
  counts = [[7] * len(row) for row in values]
  rows = [f'row {i}' for i in range(len(values))]
  columns = [f'column {j}' for j in range(len(values[0]))]
  return plots.heat_map(name, 'a map', rows, columns, values, counts, **kwargs)


def _fills(svg):
  """The fill of each cell, in order; of hatched ones the pattern."""
  style = [
    path.get('style', '')
    for part in ElementTree.fromstring(svg).iter(f'{_SVG}g')
    if part.get('data-part', '').startswith('patch_')
    for path in part.iter(f'{_SVG}path')
  ]
  return [s.split('fill: ')[1].split(';')[0] for s in style if 'fill: ' in s]


class PlotsTest(absltest.TestCase):
  def test_whiskers_label_every_row(self):
    estimates = [
      {'value': 0.5, 'ci95': [0.4, 0.6]},
      {'value': 0.25, 'ci95': [None, None]},
      {'value': None, 'ci95': None},
    ]
    svg = plots.whiskers('a', 'says <all> "this"', ['x', 'y', 'z'], estimates)
    texts = _texts(svg)
    for text in ('x', 'y', 'z', '50.0%', '25.0%', '–'):
      self.assertIn(text, texts)
    root = ElementTree.fromstring(svg)
    self.assertEqual(root.get('aria-label'), 'says <all> "this"')
    self.assertEqual(root.get('role'), 'img')

  def test_cells_say_share_and_count_but_empty_ones_nothing(self):
    texts = _texts(_map([[0.5, None], [0.0, 1.0]]))
    for text in ('50%', '0%', '100%', 'row 1', 'column 1'):
      self.assertIn(text, texts)
    self.assertEqual(texts.count('n=7'), 3)

  def test_differences_have_signs(self):
    texts = _texts(_map([[-0.05, 0.1]], difference=True))
    self.assertContainsSubset(['−5.0', '+10.0'], texts)

  def test_columns_are_called_what_they_are(self):
    self.assertIn('layers', _texts(_map([[0.5]])))
    texts = _texts(_map([[0.5]], title='what was done'))
    self.assertIn('what was done', texts)
    self.assertNotIn('layers', texts)

  def test_lines_and_text_follow_the_page_but_cells_do_not(self):
    estimates = [{'value': 0.5, 'ci95': [0.4, 0.6]}] * 2
    whiskers = plots.whiskers('a', 'b', ['x', 'y'], estimates)
    for svg in (whiskers, _map([[0.0, 1.0]])):
      self.assertIn('currentColor', svg)
      for fixed in (': #1a1a1a', ': #0060a8', ': #ffffff', ': #dddddd'):
        self.assertNotIn(fixed, svg)
    self.assertIn('var(--blue, #0060a8)', whiskers)
    # Ink in a dark cell and in a bright one.
    self.assertIn('#fefefe', _map([[0.0]]))
    self.assertIn('#111111', _map([[1.0]]))

  def test_brighter_is_more_and_empty_cells_are_hatched(self):
    fills = _fills(_map([[0.0, 0.5, 1.0, None]]))[-4:]
    brightness = [
      sum(int(fill[i : i + 2], 16) for i in (1, 3, 5)) for fill in fills[:3]
    ]
    self.assertEqual(brightness, sorted(brightness))
    self.assertLen(set(brightness), 3)
    self.assertStartsWith(fills[3], 'url(#')

  def test_equal_input_gives_equal_bytes_and_ids_do_not_clash(self):
    values = [[0.5, None]]
    self.assertEqual(_map(values), _map(values))

    def ids(svg):
      root = ElementTree.fromstring(svg)
      return {e.get('id') for e in root.iter() if e.get('id')}

    self.assertNotEmpty(ids(_map(values)))
    self.assertEmpty(ids(_map(values)) & ids(_map(values, name='b')))


if __name__ == '__main__':
  absltest.main()
