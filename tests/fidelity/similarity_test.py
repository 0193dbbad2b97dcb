# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the similarity of texts."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.fidelity import similarity

_WORDS = similarity.Words()


class SimilarityTest(parameterized.TestCase):
  @parameterized.parameters(
    ('a name of anna', 'a name of anna', 1),
    ('Of anna: a name!', 'a name of anna', 1),
    ('a first name', 'a last name', 2 / 3),
    # Counts (2, 1) and (1, 2).
    ('the the dog', 'the dog dog', 4 / 5),
    ('a a a', 'a', 1),
    ('a b', 'a', math.sqrt(0.5)),
    ('a name', 'the end', 0),
    ('', 'a name', 0),
    ('a name', '', 0),
    ('', '', 0),
    (' .', ' .', 0),
  )
  def test_by_hand(self, said, expected, value):
    found = _WORDS([said], [expected])
    self.assertEqual((found.shape, found.dtype), ((1,), np.float64))
    self.assertAlmostEqual(found[0], value)
    self.assertEqual(found[0], _WORDS([expected], [said])[0])
    self.assertEqual(found[0] == 1, value == 1)

  def test_pairs_are_in_order(self):
    judge: similarity.Similarity = _WORDS
    found = judge(['a', 'b', 'a b c d'], ['a', 'a', 'a'])
    np.testing.assert_allclose(found, [1, 0, 0.5])
    self.assertEqual(judge([], []).shape, (0,))

  def test_lengths_must_agree(self):
    with self.assertRaises(ValueError):
      _WORDS(['a'], ['a', 'b'])


class _Known:
  """Knows how similar some words are, and nothing of others."""

  settings = {'kind': 'known'}

  def __call__(self, said, expected):
    del expected
    known = {'near': 0.75, 'far': 0.25, 'never': 0.0}
    return np.array([known.get(text, np.nan) for text in said])


class BestTest(absltest.TestCase):
  def test_the_most_similar_candidate_counts(self):
    found = similarity.best(
      _Known(),
      [['far', 'near', 'never'], ['unknown', 'far'], ['unknown'], [], ['near']],
      ['label'] * 5,
    )
    np.testing.assert_array_equal(found, [0.75, 0.25, np.nan, 0, 0.75])
    self.assertEqual(similarity.best(_Known(), [], []).shape, (0,))

  def test_each_is_compared_with_its_own_text(self):
    found = similarity.best(_WORDS, [['a', 'b'], ['b', 'c']], ['a', 'a'])
    np.testing.assert_allclose(found, [1, 0])


if __name__ == '__main__':
  absltest.main()
