# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the baselines against plain versions."""

import math
from unittest import mock

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import controls


def _records(rows):
  """Makes columns of (place, treatment, answer)."""
  names = ('place', 'treatment', 'answer')
  return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _asked(records):
  """Only what may be looked at when evaluating."""
  return {name: records[name] for name in records if name != 'answer'}


class BaselinesTest(absltest.TestCase):
  def test_majority_takes_the_first_by_text_if_tied(self):
    train = _records([('x', '0', answer) for answer in ('b', 'a', 'b', 'a')])
    self.assertEqual(controls.majority(train, _asked(train)), ['a'] * 4)
    train['answer'][1] = 'b'
    self.assertEqual(controls.majority(train, {'place': ['z']}), ['b'])

  def test_majority_of_the_cell(self):
    train = _records(
      [
        ('x', '0', 'a'),
        ('x', '1', 'b'),
        ('x', '1', 'b'),
        ('x', '0', 'c'),
        ('x', '0', 'c'),
        ('y', '0', 'd'),
        ('y', '0', 'b'),
      ]
    )
    evaluation = {
      'place': ['x', 'x', 'y', 'y', 'z'],
      'treatment': ['0', '1', '0', '1', '0'],
    }
    self.assertEqual(
      controls.majority_of_cell(train, evaluation),
      # Tied in the third cell, and the last two were never seen.
      ['c', 'b', 'b', 'b', 'b'],
    )

  def test_no_training_records_are_refused(self):
    empty = {'place': [], 'treatment': [], 'answer': []}
    for control in (controls.majority, controls.majority_of_cell):
      with self.assertRaisesRegex(errors.InputError, 'at least one training'):
        control(empty, {'place': ['x'], 'treatment': ['0']})


class NearestNeighbourTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.train = _records(
      [
        ('last', '0 to 1', 'a'),
        ('last', '0 to 1', 'b'),
        ('last', '2 to 3', 'c'),
        ('first', '0 to 1', 'd'),
      ]
    )
    self.vectors = np.array([[1, 0], [3, 3], [9, 9], [-9, -9]])

  def _said(self, evaluation, vectors):
    return controls.nearest_neighbour(
      self.vectors.__getitem__, vectors, self.train, _asked(evaluation)
    )

  def test_plain_dot_product_within_the_cell(self):
    evaluation = _records(
      [
        ('last', '0 to 1', ''),
        ('last', '0 to 1', ''),
        ('last', '2 to 3', ''),
        ('first', '2 to 3', ''),
        ('first', '2 to 3', ''),
      ]
    )
    # Row 0 is 'a' up to scale, but the product with 'b' is larger. The last
    # two are of a cell without training records.
    vectors = np.array([[1, 0], [1, -2], [-1, -1], [1, 1], [-1, -1]])
    self.assertEqual(self._said(evaluation, vectors), ['b', 'a', 'c', 'c', 'd'])

  def test_everywhere_the_cell_does_not_matter(self):
    evaluation = _records([('last', '0 to 1', ''), ('first', '0 to 1', '')])
    said = controls.nearest_neighbour(
      self.vectors.__getitem__,
      np.array([[1, 1], [-1, -1]]),
      self.train,
      _asked(evaluation),
      within_cells=False,
    )
    self.assertEqual(said, ['c', 'd'])

  def test_ties_go_to_the_first(self):
    evaluation = _records([('last', '0 to 1', '')])
    self.assertEqual(self._said(evaluation, np.zeros((1, 2))), ['a'])

  def test_chunks_equal_a_plain_loop(self):
    rng = np.random.default_rng(0)
    n = 3 * controls._CHUNK
    kinds = rng.choice(['x', 'y'], n)
    train = _records([(kinds[i], '0 to 1', str(i)) for i in range(40)])
    evaluation = _records([(kind, '0 to 1', '') for kind in kinds])
    keys, vectors = rng.normal(size=(40, 8)), rng.normal(size=(n, 8))
    expected = [
      max(
        np.flatnonzero(kinds[:40] == kind), key=lambda i, v=vector: keys[i] @ v
      )
      for kind, vector in zip(kinds, vectors, strict=True)
    ]
    for held in (controls._KEYS, 3):
      with mock.patch.object(controls, '_KEYS', held):
        said = controls.nearest_neighbour(
          keys.__getitem__, vectors, train, _asked(evaluation)
        )
      self.assertEqual(said, [train['answer'][i] for i in expected])

  def test_ties_go_to_the_first_of_all_that_are_held_in_turn(self):
    train = _records([('last', '0 to 1', str(i)) for i in range(9)])
    keys = np.array([1, 2, 1, 2, 3, 3, 3, 1, 3])[:, None]
    evaluation = _records([('last', '0 to 1', '')])
    with mock.patch.object(controls, '_KEYS', 2):
      said = controls.nearest_neighbour(
        keys.__getitem__, np.ones((1, 1)), train, _asked(evaluation)
      )
    self.assertEqual(said, ['4'])

  def test_bad_vectors_are_refused(self):
    evaluation = _records([('last', '0 to 1', '')])
    with self.assertRaisesRegex(errors.InputError, '1 finite evaluation'):
      self._said(evaluation, np.zeros((2, 2)))
    with self.assertRaisesRegex(errors.InputError, '1 values not finite'):
      self._said(evaluation, np.array([[0, math.inf]]))
    with self.assertRaisesRegex(errors.InputError, 'one width'):
      self._said(evaluation, np.zeros((1, 3)))

  def test_no_training_records_are_refused(self):
    empty = {name: column[:0] for name, column in self.train.items()}
    with self.assertRaisesRegex(errors.InputError, 'at least one training'):
      controls.nearest_neighbour(
        self.vectors.__getitem__, self.vectors, empty, _asked(self.train)
      )


def _cells(places, treatments):
  return {'place': list(places), 'treatment': list(treatments)}


class PermuteWithinTest(absltest.TestCase):
  def test_moves_every_row_within_its_cell(self):
    rng = np.random.default_rng(0)
    places = rng.choice(['first', 'last', 'relation'], 90).tolist()
    treatments = rng.choice(['0', '0 to 2', '10'], 90).tolist()
    cells = list(zip(places, treatments, strict=True))
    for seed in range(20):
      permutation = controls.permute_within(_cells(places, treatments), seed)
      self.assertCountEqual(permutation, range(90))
      for row, other in enumerate(permutation):
        self.assertNotEqual(row, other)
        self.assertEqual(cells[row], cells[other])

  def test_small_cells(self):
    with self.assertLogs(level='WARNING') as logs:
      permutation = controls.permute_within(_cells('xyyz', '0000'), seed=0)
    self.assertEqual(permutation.tolist(), [0, 2, 1, 3])
    self.assertIn('2 of 4 rows are alone', logs.output[0])
    with self.assertLogs(level='WARNING') as logs:
      permutation = controls.permute_within(_cells('xxxx', '0110'), seed=0)
      controls.permute_within(_cells('xx', '01'), seed=0)
    self.assertEqual(permutation.tolist(), [3, 2, 1, 0])
    self.assertIn('2 of 2 rows are alone', logs.output[0])

  def test_every_cycle_is_drawn_by_its_seed(self):
    records = _cells('xxx', '000')
    drawn = [
      tuple(controls.permute_within(records, seed).tolist())
      for seed in range(200)
    ]
    self.assertEqual(set(drawn), {(1, 2, 0), (2, 0, 1)})
    self.assertBetween(drawn.count((1, 2, 0)), 60, 140)
    again = controls.permute_within(records, 7)
    self.assertEqual(tuple(again.tolist()), drawn[7])


class ShuffledOrderTest(absltest.TestCase):
  def test_is_drawn_by_seed_and_purpose(self):
    order = controls.shuffled_order(30, 0, 'wrong_layer')
    self.assertCountEqual(order, range(30))
    self.assertNotEqual(order.tolist(), list(range(30)))
    again = controls.shuffled_order(30, 0, 'wrong_layer')
    np.testing.assert_array_equal(again, order)
    for seed, purpose in ((1, 'wrong_layer'), (0, 'other')):
      other = controls.shuffled_order(30, seed, purpose)
      self.assertNotEqual(other.tolist(), order.tolist())

  def test_of_nothing(self):
    self.assertEmpty(controls.shuffled_order(0, 0, 'wrong_layer'))


if __name__ == '__main__':
  absltest.main()
