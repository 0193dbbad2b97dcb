# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of which claims are shown, and how."""

import collections

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax.reports import examples


def _row(record, kind='last_name', layer=0, exact=True):
  return {
    'record': record,
    'place': kind,
    'treatment': str(layer),
    'exact': exact,
  }


class ChooseTest(absltest.TestCase):
  def test_takes_in_turn_from_every_stratum(self):
    # One stratum of 100 and two of 3: 12 = 3 + 3 + 6.
    rows = [
      *(_row(i) for i in range(100)),
      *(_row(100 + i, exact=False) for i in range(3)),
      *(_row(200 + i, layer=1) for i in range(3)),
    ]
    chosen = examples.choose(rows, seed=0, limit=12)
    counts = collections.Counter(
      (row['treatment'], row['exact']) for row in chosen
    )
    self.assertEqual(counts, {('0', True): 6, ('0', False): 3, ('1', True): 3})
    # The first three are one of each.
    first = {(row['treatment'], row['exact']) for row in chosen[:3]}
    self.assertLen(first, 3)

  def test_takes_each_once_and_all_if_few(self):
    rows = [_row(i, exact=i % 3 == 0) for i in range(50)]
    chosen = [row['record'] for row in examples.choose(rows, seed=0)]
    self.assertCountEqual(chosen, range(50))

  def test_order_of_rows_does_not_matter_but_seed_does(self):
    rows = [_row(i) for i in range(30)]
    chosen = examples.choose(rows, seed=1, limit=5)
    self.assertEqual(chosen, examples.choose(rows[::-1], seed=1, limit=5))
    self.assertNotEqual(chosen, examples.choose(rows, seed=2, limit=5))


class EntryTest(parameterized.TestCase):
  @parameterized.parameters(
    ('the cat and the dog', 'the', 4, ('the cat and ', 'the', ' dog')),
    ('the cat and the dog', 'the', 1, ('', 'the', ' cat and the dog')),
    # Pieces of words: where there is one such piece, it is that.
    ('unbelievable', 'believ', 2, ('un', 'believ', 'able')),
    # Tokens are not words here, whatever word has that number.
    ('new york is big', 'york', 1, ('new ', 'york', ' is big')),
    # Which of two it is cannot be told.
    ('banana', 'an', 3, ('banana', '', '')),
    ('anna', '', 9, ('anna', '', '')),
    # Parts of several words.
    ('a b a b c', 'a b', 3, ('a b ', 'a b', ' c')),
  )
  def test_around(self, text, token, position, expected):
    found = examples.around(text, token, position)
    self.assertEqual(found, expected)
    self.assertEqual(''.join(found), text)

  @parameterized.parameters(
    (1, True, True, '✓ right', 'changes to “harp”'),
    (0, True, False, '✗ wrong verdict', 'stays “harp”'),
    (1, True, False, '✗ wrong content', 'changes to “harp”'),
    (-1, True, False, '✗ invalid', 'no claim: “hm”'),
  )
  def test_outcome_and_claim(self, claimed, changed, exact, outcome, claim):
    row = dict(
      claimed=claimed,
      changed=changed,
      exact=exact,
      claimed_content='harp',
      output='hm',
    )
    self.assertEqual(examples.outcome(row), outcome)
    self.assertEqual(examples.claim(row), claim)

  def test_long_answers_are_cut(self):
    row = dict(claimed=-1, claimed_content='', output='x' * 5000)
    self.assertLess(len(examples.claim(row)), 250)


if __name__ == '__main__':
  absltest.main()
