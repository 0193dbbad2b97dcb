# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of figures that are held against published ones."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import later_fields
from selfexplain_jax.dictionary import published_figures

FOUND = {
  2: {'l0': 40.0, 'variance_explained': 0.7},
  10: {'l0': 60.0, 'variance_explained': 0.9},
}


def _misses(**expected):
  config = published_figures.config()
  config.update(expected)
  published_figures.check_config(config, tuple(FOUND))
  return published_figures.misses(FOUND, 1000, config)


class PublishedFiguresTest(parameterized.TestCase):
  @parameterized.parameters(
    ({}, []),
    ({'l0': (50.0,)}, []),
    ({'l0': (50.0,), 'l0_tolerance': 0.19}, ['layer 2: ', 'layer 10: ']),
    ({'l0': (40.0, 48.0)}, ['layer 10: l0 is 60, expected 48 within 9.6']),
    ({'l0': (51.0,)}, ['layer 2: l0 is 40, expected 51 within 10']),
    ({'variance_explained': (0.74, 0.86)}, []),
    (
      {'variance_explained': (0.9, 0.7)},
      ['layer 2: variance_explained is 0.7, expected 0.9', 'layer 10: '],
    ),
  )
  def test_says_what_is_beyond_the_tolerance(self, expected, lines):
    found = _misses(**expected)
    self.assertLen(found, len(lines))
    for one, line in zip(found, lines):
      self.assertStartsWith(one, line)

  @parameterized.parameters(0.0, 51.0, float('nan'))
  def test_absurd_figures_need_no_expectations(self, l0):
    figures = {0: {'l0': l0, 'variance_explained': 0.5}}
    (line,) = published_figures.misses(figures, 100, published_figures.config())
    self.assertIn(
      'in a row of width 100, expected above 0 and at most 50', line
    )

  def test_not_a_number_is_no_match(self):
    figures = {0: {'l0': 5.0, 'variance_explained': float('nan')}}
    config = published_figures.config()
    config.variance_explained = (0.5,)
    self.assertLen(published_figures.misses(figures, 100, config), 1)

  def test_how_many_numbers(self):
    with self.assertRaisesRegex(
      errors.InputError, 'l0 has 3 numbers: expected'
    ):
      _misses(l0=(1.0, 2.0, 3.0))

  def test_whether_anything_is_expected(self):
    config = published_figures.config()
    self.assertFalse(published_figures.given(config))
    config.l0 = (50.0,)
    self.assertTrue(published_figures.given(config))

  def test_nothing_is_expected_in_configs_of_before(self):
    nothing = files.as_json(published_figures.config().to_dict())
    left = later_fields.left_out('make_explanations', {'expected': nothing})
    self.assertEqual(left, {})


if __name__ == '__main__':
  absltest.main()
