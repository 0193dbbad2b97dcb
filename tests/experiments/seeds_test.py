# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is collected over seeds, against values worked out by hand."""

from typing import Any

from absl.testing import absltest

from experiments.patching import seeds


def _estimates(value: float | None, **more: Any) -> dict[str, Any]:
  """The three metrics that are collected: `value`, twice it and None."""
  twice = None if value is None else 2 * value
  return {
    'exact_match': {'value': value, **more},
    'exact_match_changed': {'value': twice, **more},
    'macro_f1': {'value': None, **more},
    'valid_rate': {'value': 1.0, **more},
  }


def _figures(own: float | None, gap: float, balanced: float) -> dict[str, Any]:
  return {
    'n': 7,
    'rows': {'self': _estimates(own), 'metadata': _estimates(0.25)},
    'tests': {
      'self_minus_metadata': _estimates(gap, p=0.5, ci95=[-1, gap]),
      'self_minus_majority': _estimates(gap, p=0.5, ci95=[-1, gap]),
    },
    'balanced_rows': {'self': _estimates(balanced)},
    'balanced_tests': {
      'self_minus_metadata': _estimates(-gap, p=0.125, ci95=[-gap, 1])
    },
  }


class CollectTest(absltest.TestCase):
  def test_means_and_values(self):
    results = seeds.collect(
      [_figures(0.5, 0.25, 0.125), _figures(0.75, 0.0, 0.375)]
    )
    self.assertSameElements(
      results,
      (
        'self',
        'metadata',
        'self_minus_metadata',
        'balanced_self',
        'balanced_self_minus_metadata',
      ),
    )
    self.assertEqual(
      results['self'],
      {
        'exact_match': {'mean': 0.625, 'by_seed': [0.5, 0.75]},
        'exact_match_changed': {'mean': 1.25, 'by_seed': [1.0, 1.5]},
        'macro_f1': {'mean': None, 'by_seed': [None, None]},
      },
    )
    self.assertEqual(
      results['self_minus_metadata']['exact_match'],
      {
        'mean': 0.125,
        'by_seed': [0.25, 0.0],
        'ci95_by_seed': [[-1, 0.25], [-1, 0.0]],
        'p_by_seed': [0.5, 0.5],
        'same_sign': False,
      },
    )
    self.assertEqual(
      results['balanced_self']['exact_match'],
      {'mean': 0.25, 'by_seed': [0.125, 0.375]},
    )
    self.assertEqual(
      results['balanced_self_minus_metadata']['exact_match']['p_by_seed'],
      [0.125, 0.125],
    )

  def test_whether_the_sign_holds_in_every_seed(self):
    for gaps, same in (((0.25, 0.5), True), ((0.25, -0.5), False)):
      results = seeds.collect([_figures(0.5, gap, 0.125) for gap in gaps])
      for name in ('self_minus_metadata', 'balanced_self_minus_metadata'):
        self.assertEqual(results[name]['exact_match']['same_sign'], same)
        self.assertFalse(results[name]['macro_f1']['same_sign'])  # Undefined.

  def test_an_undefined_value_is_left_out_of_the_mean(self):
    results = seeds.collect([_figures(None, 0.25, 0.0), _figures(0.5, 0, 0)])
    self.assertEqual(
      results['self']['exact_match'], {'mean': 0.5, 'by_seed': [None, 0.5]}
    )

  def test_no_balanced_cells(self):
    figures = _figures(0.5, 0.25, 0.125)
    del figures['balanced_rows'], figures['balanced_tests']
    self.assertSameElements(
      seeds.collect([figures]), ('self', 'metadata', 'self_minus_metadata')
    )


if __name__ == '__main__':
  absltest.main()
