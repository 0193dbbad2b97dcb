# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the metadata control against known rules and optima."""

from absl.testing import absltest
import numpy as np
from scipy import sparse

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import metadata


def _records(rows):
  """Makes columns of (place, treatment, prompt, length, changed, content)."""
  places, treatments, prompts, lengths, changed, content = zip(
    *rows, strict=True
  )
  return {
    'place': list(places),
    'treatment': list(treatments),
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


class MetadataTest(absltest.TestCase):
  def test_learns_cells_and_answers_by_prompt(self):
    rows = []
    for i in range(40):
      prompt = ('tongue', 'job')[i % 2]
      rows.append(('last', '0 to 1', prompt, 7, True, f'new {prompt}'))
      rows.append(('last', '2 to 3', prompt, 7, False, f'old {prompt}'))
    train = _records(rows)
    evaluation = _records(
      [
        ('last', '0 to 1', 'tongue', 7, False, ''),
        ('last', '2 to 3', 'tongue', 7, True, ''),
        ('last', '0 to 1', 'job', 900, False, ''),
        ('last', '2 to 3', 'job', 0, True, ''),
      ]
    )
    self.assertEqual(
      metadata.metadata(train, _asked(evaluation)),
      [
        claims.render(True, 'new tongue'),
        claims.render(False, 'old tongue'),
        claims.render(True, 'new job'),
        claims.render(False, 'old job'),
      ],
    )

  def test_learns_prompt_kind_and_length(self):
    rows = [
      ('last', '0 to 1', prompt, length, prompt == 'q' or length > 20, 'c')
      for prompt in 'pq'
      for length in (10, 12, 30, 32)
      for _ in range(20)
    ]
    train = _records(rows)
    said = metadata.metadata(train, _asked(train))
    self.assertEqual(said, train['answer'])

  def test_learns_what_neither_cell_nor_prompt_tells_alone(self):
    rows = [
      ('last', block, prompt, 7, (prompt == 'q') == (block == '0'), 'c')
      for prompt in 'pq'
      for block in ('0', '0 to 1')
      for _ in range(20)
    ]
    train = _records(rows)
    said = metadata.metadata(train, _asked(train))
    self.assertEqual(said, train['answer'])

  def test_falls_back_on_what_it_has_not_seen(self):
    train = _records(
      [('last', '0 to 1', 'p', 5, True, 'new')] * 6
      + [('last', '2 to 3', 'q', 5, False, 'old')] * 4
    )
    evaluation = _records(
      [
        # A prompt kind never seen, and one never seen to change.
        ('last', '0 to 1', 'r', 5, False, ''),
        ('first', '8 to 9', 'r', 99, False, ''),
        ('last', '0 to 1', 'q', 5, False, ''),
      ]
    )
    said = metadata.metadata(train, _asked(evaluation))
    self.assertEqual(said[0], claims.render(True, 'new'))
    self.assertEqual(said[1], claims.render(True, 'new'))
    self.assertIn(said[2], train['answer'])

  def test_where_only_one_verdict_was_seen(self):
    train = _records([('last', '0 to 1', 'p', 5, False, 'old')] * 6)
    self.assertEqual(
      metadata.metadata(train, _asked(train)), [claims.render(False, 'old')] * 6
    )

  def test_needs_two_groups(self):
    train = _records([('last', '0 to 1', 'p', 5, True, 'a')] * 2)
    with self.assertRaisesRegex(errors.InputError, 'two groups'):
      metadata.metadata(train, _asked(train))

  def test_logistic_regression_is_at_its_optimum(self):
    rng = np.random.default_rng(0)
    dense = np.hstack([rng.integers(0, 2, (50, 3)), np.ones((50, 1))])
    changed = rng.random(50) < 0.4
    weights = metadata._fit(sparse.csr_array(dense), changed, 0.1)
    probability = 1 / (1 + np.exp(-dense @ weights))
    slope = dense.T @ (probability - changed) / 50
    slope[:-1] += 0.1 * weights[:-1]
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    # The constant is free, so that the mean is met.
    self.assertAlmostEqual(probability.mean(), changed.mean(), delta=1e-4)
    loss = metadata._negative_log_likelihood(
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
    self.assertEqual(metadata._choose_penalty(design, memorised, group), 1.0)
    constant = sparse.csr_array(np.ones((120, 1)))
    self.assertEqual(metadata._choose_penalty(constant, memorised, group), 1.0)
    told = np.arange(120) % 2 == 0
    design = sparse.csr_array(np.stack([told, np.ones(120)], axis=1) * 1.0)
    self.assertEqual(metadata._choose_penalty(design, told, group), 1e-4)

  def test_no_training_records_are_refused(self):
    train = _records([('last', '0', 'p', 5, True, 'a')] * 4)
    empty = {name: column[:0] for name, column in train.items()}
    with self.assertRaisesRegex(errors.InputError, 'at least one training'):
      metadata.metadata(empty, _asked(train))


if __name__ == '__main__':
  absltest.main()
