# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the baselines against plain versions and known optima."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import sparse

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import controls


def _records(rows):
  """Makes columns of (kind, first, last, prompt, length, changed, content)."""
  kinds, first, last, prompts, lengths, changed, content = zip(
    *rows, strict=True
  )
  return {
    'position_kind': list(kinds),
    'first_layer': np.array(first),
    'last_layer': np.array(last),
    'prompt_kind': list(prompts),
    'prompt_length': np.array(lengths),
    'changed': np.array(changed, bool),
    'answer': [
      claims.render(verdict, text)
      for verdict, text in zip(changed, content, strict=True)
    ],
    'group': np.arange(len(rows)) // 2,
  }


def _asked(records):
  """Only what may be looked at when evaluating."""
  hidden = ('changed', 'answer', 'group')
  return {name: records[name] for name in records if name not in hidden}


class BaselinesTest(parameterized.TestCase):
  def test_majority_takes_the_first_by_text_if_tied(self):
    train = _records(
      [('x', 0, 1, 'p', 5, True, content) for content in ('b', 'a', 'b', 'a')]
    )
    self.assertEqual(
      controls.majority(train, _asked(train)),
      [claims.render(True, 'a')] * 4,
    )
    train['answer'][1] = train['answer'][0]
    self.assertEqual(
      controls.majority(train, {'position_kind': ['z']}),
      [claims.render(True, 'b')],
    )

  def test_metadata_learns_cells_and_answers_by_prompt(self):
    rows = []
    for i in range(40):
      prompt = ('tongue', 'job')[i % 2]
      rows.append(('last', 0, 1, prompt, 7, True, f'new {prompt}'))
      rows.append(('last', 2, 3, prompt, 7, False, f'old {prompt}'))
    train = _records(rows)
    evaluation = _records(
      [
        ('last', 0, 1, 'tongue', 7, False, ''),
        ('last', 2, 3, 'tongue', 7, True, ''),
        ('last', 0, 1, 'job', 900, False, ''),
        ('last', 2, 3, 'job', 0, True, ''),
      ]
    )
    self.assertEqual(
      controls.metadata(train, _asked(evaluation)),
      [
        claims.render(True, 'new tongue'),
        claims.render(False, 'old tongue'),
        claims.render(True, 'new job'),
        claims.render(False, 'old job'),
      ],
    )

  def test_metadata_learns_prompt_kind_and_length(self):
    rows = [
      ('last', 0, 1, prompt, length, prompt == 'q' or length > 20, 'c')
      for prompt in 'pq'
      for length in (10, 12, 30, 32)
      for _ in range(20)
    ]
    train = _records(rows)
    said = controls.metadata(train, _asked(train))
    self.assertEqual(said, train['answer'])

  def test_metadata_learns_what_neither_cell_nor_prompt_tells_alone(self):
    rows = [
      ('last', first, 1, prompt, 7, (prompt == 'q') == (first == 0), 'c')
      for prompt in 'pq'
      for first in (0, 1)
      for _ in range(20)
    ]
    train = _records(rows)
    said = controls.metadata(train, _asked(train))
    self.assertEqual(said, train['answer'])

  def test_metadata_falls_back_on_what_it_has_not_seen(self):
    train = _records(
      [('last', 0, 1, 'p', 5, True, 'new')] * 6
      + [('last', 2, 3, 'q', 5, False, 'old')] * 4
    )
    evaluation = _records(
      [
        # A prompt kind never seen, and one never seen to change.
        ('last', 0, 1, 'r', 5, False, ''),
        ('first', 8, 9, 'r', 99, False, ''),
        ('last', 0, 1, 'q', 5, False, ''),
      ]
    )
    said = controls.metadata(train, _asked(evaluation))
    self.assertEqual(said[0], claims.render(True, 'new'))
    self.assertEqual(said[1], claims.render(True, 'new'))
    self.assertIn(said[2], train['answer'])

  def test_metadata_where_only_one_verdict_was_seen(self):
    train = _records([('last', 0, 1, 'p', 5, False, 'old')] * 6)
    self.assertEqual(
      controls.metadata(train, _asked(train)), [claims.render(False, 'old')] * 6
    )

  def test_metadata_needs_two_groups(self):
    train = _records([('last', 0, 1, 'p', 5, True, 'a')] * 2)
    with self.assertRaisesRegex(errors.InputError, 'two groups'):
      controls.metadata(train, _asked(train))

  def test_logistic_regression_is_at_its_optimum(self):
    rng = np.random.default_rng(0)
    dense = np.hstack([rng.integers(0, 2, (50, 3)), np.ones((50, 1))])
    changed = rng.random(50) < 0.4
    weights = controls._fit(sparse.csr_array(dense), changed, 0.1)
    probability = 1 / (1 + np.exp(-dense @ weights))
    slope = dense.T @ (probability - changed) / 50
    slope[:-1] += 0.1 * weights[:-1]
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    # The constant is free, so that the mean is met.
    self.assertAlmostEqual(probability.mean(), changed.mean(), delta=1e-4)
    loss = controls._negative_log_likelihood(
      weights, sparse.csr_array(dense), changed
    )
    self.assertAlmostEqual(
      loss, -np.log(np.where(changed, probability, 1 - probability)).mean()
    )

  def test_penalty_is_strong_for_noise_and_weak_for_signal(self):
    rng = np.random.default_rng(1)
    group = np.arange(120) // 4
    dense = np.hstack([np.eye(30)[group % 30], np.ones((120, 1))])
    design = sparse.csr_array(dense)
    # Right for a group's own records, and of no use for those held out.
    memorised = rng.random(30)[group] < 0.5
    self.assertEqual(controls._choose_penalty(design, memorised, group), 1.0)
    constant = sparse.csr_array(np.ones((120, 1)))
    self.assertEqual(controls._choose_penalty(constant, memorised, group), 1.0)
    told = np.arange(120) % 2 == 0
    design = sparse.csr_array(np.stack([told, np.ones(120)], axis=1) * 1.0)
    self.assertEqual(controls._choose_penalty(design, told, group), 1e-4)


class NearestNeighbourTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.train = _records(
      [
        ('last', 0, 1, 'p', 5, True, 'a'),
        ('last', 0, 1, 'p', 5, True, 'b'),
        ('last', 2, 3, 'p', 5, True, 'c'),
        ('first', 0, 1, 'p', 5, True, 'd'),
      ]
    )
    self.vectors = np.array([[1, 0], [3, 3], [9, 9], [-9, -9]])

  def _said(self, evaluation, vectors):
    said = controls.nearest_neighbour(
      self.vectors, vectors, self.train, _asked(evaluation)
    )
    return [claims.parse(answer).content for answer in said]

  def test_plain_dot_product_within_the_cell(self):
    evaluation = _records(
      [
        ('last', 0, 1, 'p', 5, True, ''),
        ('last', 0, 1, 'p', 5, True, ''),
        ('last', 2, 3, 'p', 5, True, ''),
        ('first', 2, 3, 'p', 5, True, ''),
        ('first', 2, 3, 'p', 5, True, ''),
      ]
    )
    # Row 0 is 'a' up to scale, but the product with 'b' is larger. The last
    # two are of a cell without training records.
    vectors = np.array([[1, 0], [1, -2], [-1, -1], [1, 1], [-1, -1]])
    self.assertEqual(self._said(evaluation, vectors), ['b', 'a', 'c', 'c', 'd'])

  def test_ties_go_to_the_first(self):
    evaluation = _records([('last', 0, 1, 'p', 5, True, '')])
    self.assertEqual(self._said(evaluation, np.zeros((1, 2))), ['a'])

  def test_chunks_equal_a_plain_loop(self):
    rng = np.random.default_rng(0)
    n = 3 * controls._CHUNK
    kinds = rng.choice(['x', 'y'], n)
    train = _records(
      [(kinds[i], 0, 1, 'p', 5, True, str(i)) for i in range(40)]
    )
    evaluation = _records([(kind, 0, 1, 'p', 5, True, '') for kind in kinds])
    keys, vectors = rng.normal(size=(40, 8)), rng.normal(size=(n, 8))
    expected = [
      max(
        np.flatnonzero(kinds[:40] == kind), key=lambda i, v=vector: keys[i] @ v
      )
      for kind, vector in zip(kinds, vectors, strict=True)
    ]
    said = controls.nearest_neighbour(keys, vectors, train, _asked(evaluation))
    self.assertEqual(said, [train['answer'][i] for i in expected])

  def test_bad_vectors_are_refused(self):
    evaluation = _records([('last', 0, 1, 'p', 5, True, '')])
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
        np.zeros((0, 2)), self.vectors, empty, _asked(self.train)
      )


class PermuteWithinTest(absltest.TestCase):
  def test_moves_every_row_within_its_cell(self):
    rng = np.random.default_rng(0)
    kinds = rng.choice(['first', 'last', 'relation'], 90).tolist()
    blocks = [(int(b), int(b) + 1) for b in rng.choice([0, 2, 10], 90)]
    for seed in range(20):
      permutation = controls.permute_within(kinds, blocks, seed)
      self.assertCountEqual(permutation, range(90))
      for row, other in enumerate(permutation):
        self.assertNotEqual(row, other)
        self.assertEqual(
          (kinds[row], blocks[row]), (kinds[other], blocks[other])
        )

  def test_small_cells(self):
    with self.assertLogs(level='WARNING') as logs:
      permutation = controls.permute_within(
        ['x', 'y', 'y', 'z'], [0, 0, 0, 0], seed=0
      )
    self.assertEqual(permutation.tolist(), [0, 2, 1, 3])
    self.assertIn('2 of 4 rows are alone', logs.output[0])

  def test_every_cycle_is_drawn_by_its_seed(self):
    drawn = [
      tuple(controls.permute_within('xxx', [0, 0, 0], seed).tolist())
      for seed in range(200)
    ]
    self.assertEqual(set(drawn), {(1, 2, 0), (2, 0, 1)})
    self.assertBetween(drawn.count((1, 2, 0)), 60, 140)
    again = controls.permute_within('xxx', [0, 0, 0], 7)
    self.assertEqual(tuple(again.tolist()), drawn[7])


if __name__ == '__main__':
  absltest.main()
