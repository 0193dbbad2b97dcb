# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of a matrix over seeds, against values worked out by hand."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.studies import matrix
from selfexplain_jax.studies import matrix_text
from tests.studies import runs

_PAIRS = (('self', 'twin'), ('self', 'stranger'), ('twin', 'stranger'))


def _result(exact, shuffled=None, questions='people'):
  """A result of 4 people with 4 records each, of which 2 changed."""
  by_arm = {'self': runs.sums(exact, [2] * 4)}
  if shuffled is not None:
    by_arm['shuffled_vector'] = runs.sums(shuffled, [2] * 4)
  return runs.make_result('d', by_arm, questions=questions)


def _block(arms, **kwargs):
  return matrix.block('patching', arms, _PAIRS, 400, **kwargs)


class MatrixTest(absltest.TestCase):
  def test_what_is_constant_is_a_row_at_every_seed(self):
    beside = runs.make_result(
      'd',
      {
        'majority': runs.sums([1] * 4, [2] * 4),
        'metadata': runs.sums([2] * 4, [2] * 4),
      },
      questions='people',
    )
    own = {0: _result([4] * 4), 2: _result([3] * 4)}
    constant = matrix.constant(beside, own)
    self.assertEqual(list(constant), ['majority', 'metadata'])
    block = matrix.block(
      'patching', {'self': own, **constant}, [('self', 'metadata')], 400
    )
    row = block['rows']['majority']['exact_match']
    self.assertEqual(row['by_seed'], {'0': 0.25, '2': 0.25})
    test = block['tests']['self_minus_metadata']['exact_match']
    self.assertEqual(test['by_seed'], {'0': 0.5, '2': 0.25})
    # Before any explainer has a result, they stand alone.
    alone = matrix.block('patching', matrix.constant(beside, {}), [], 400)
    row = alone['rows']['metadata']['exact_match']
    self.assertEqual(row['by_seed'], {'0': 0.5})

  def test_figures_and_gaps(self):
    own, twin = _result([4, 4, 2, 2], [0] * 4), _result([2, 2, 2, 2])
    arms = {
      'self': {0: own, 1: _result([4] * 4, [4] * 4), 2: own},
      'twin': {0: twin, 1: _result([4, 4, 4, 0]), 2: twin},
      'stranger': {},
    }
    block = _block(arms)
    self.assertSameElements(block['rows'], ('self', 'twin'))
    row = block['rows']['self']['exact_match']
    self.assertEqual(row['by_seed'], {'0': 0.75, '1': 1.0, '2': 0.75})
    self.assertAlmostEqual(row['value'], 2.5 / 3)
    self.assertSameElements(
      block['tests'], ('self_minus_twin', 'self_minus_shuffled')
    )
    test = block['tests']['self_minus_twin']['exact_match']
    self.assertEqual(test['value'], 0.25)
    self.assertEqual(test['by_seed'], {'0': 0.25, '1': 0.25, '2': 0.25})
    self.assertTrue(test['same_sign'])
    shuffled = block['tests']['self_minus_shuffled']['exact_match']
    self.assertEqual(shuffled['by_seed'], {'0': 0.75, '1': 0.0, '2': 0.75})
    self.assertFalse(shuffled['same_sign'])
    self.assertIsNotNone(shuffled['same_sign'])

  def test_few_seeds_say_nothing_about_the_sign(self):
    arms = {
      'self': {0: _result([4] * 4), 1: _result([4] * 4)},
      'twin': {0: _result([2] * 4), 1: _result([2] * 4)},
    }
    test = _block(arms)['tests']['self_minus_twin']['exact_match']
    self.assertIsNone(test['same_sign'])

  def test_an_interval_is_over_people(self):
    same = [_result([4, 4, 0, 0]), _result([4, 4, 0, 0])]
    block = _block({'self': dict(enumerate(same))})
    low, high = block['rows']['self']['exact_match']['ci95']
    self.assertEqual((low, high), (0.0, 1.0))  # 4 people, all of one kind.
    same = [_result([4, 0, 4, 0]), _result([0, 4, 0, 4])]
    block = _block({'self': dict(enumerate(same))})
    # People are alike on average over seeds, so nothing varies.
    self.assertEqual(block['rows']['self']['exact_match']['ci95'], [0.5, 0.5])

  def test_p_is_that_of_all_swaps(self):
    # Of the 16 ways to swap 4 people with one gap each, all + or all -.
    block = _block(
      {'self': {0: _result([3] * 4)}, 'twin': {0: _result([1] * 4)}}
    )
    p = block['tests']['self_minus_twin']['exact_match']['p']
    self.assertBetween(p, 0.06, 0.20)  # 2 / 16, drawn 400 times.

  def test_gaps_are_over_the_seeds_of_both(self):
    block = _block(
      {
        'self': {0: _result([4] * 4), 1: _result([0] * 4)},
        'twin': {0: _result([2] * 4)},
        'stranger': {2: _result([2] * 4)},
      }
    )
    self.assertEqual(
      block['tests']['self_minus_twin']['exact_match']['by_seed'], {'0': 0.5}
    )
    self.assertNotIn('self_minus_stranger', block['tests'])

  def test_other_questions_are_refused(self):
    with self.assertRaisesRegex(errors.InputError, 'arm twin .* different'):
      _block(
        {
          'self': {0: _result([4] * 4)},
          'twin': {0: _result([4] * 4, questions='others')},
        }
      )

  def test_nothing_done(self):
    self.assertEqual(_block({'self': {}}), {'rows': {}, 'tests': {}})

  def test_undefined_figures(self):
    empty = runs.make_result('d', {'self': runs.sums([1] * 4, np.zeros(4))})
    block = _block({'self': {0: empty}, 'twin': {0: empty}})
    row = block['rows']['self']['exact_match_changed']
    self.assertIsNone(row['value'])
    self.assertEqual(row['by_seed'], {'0': None})
    test = block['tests']['self_minus_twin']['exact_match_changed']
    self.assertIsNone(test['value'])
    self.assertFalse(test['same_sign'])

  def test_text(self):
    blocks = {
      'a': _block(
        {
          'self': {0: _result([4] * 4), 1: _result([2] * 4)},
          'twin': {0: _result([2] * 4), 1: _result([3] * 4)},
        }
      ),
      'b': _block({'self': {0: _result([3] * 4)}}),
    }
    rates = {'a': {'self': 0.25, 'twin': 0.5}, 'b': {'self': None}}
    text = matrix_text.table('patching', blocks, ['twin', 'self'], rates)
    lines = text.splitlines()
    self.assertIn('target a', lines[0])
    self.assertIn('target b', lines[0])
    self.assertRegex(
      lines[1], r'^twin +0\.625 \[0\.625, 0\.625\] \(0\.500 0\.750\) +-$'
    )
    self.assertRegex(lines[2], r'^self +0\.750 .* 0\.750 \[')
    self.assertRegex(
      lines[3], r'^self minus twin +\+0\.125 .* p=0\.\d+ \+- +-$'
    )
    self.assertRegex(lines[-1], r'^self +0\.25 +-$')


if __name__ == '__main__':
  absltest.main()
