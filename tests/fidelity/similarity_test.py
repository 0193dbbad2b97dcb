# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the similarity of texts."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.fidelity import similarity


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
    found = similarity.word_cosine([said], [expected])
    self.assertEqual((found.shape, found.dtype), ((1,), np.float64))
    self.assertAlmostEqual(found[0], value)
    self.assertEqual(found[0], similarity.word_cosine([expected], [said])[0])
    self.assertEqual(found[0] == 1, value == 1)

  def test_pairs_are_in_order(self):
    judge: similarity.Similarity = similarity.word_cosine
    found = judge(['a', 'b', 'a b c d'], ['a', 'a', 'a'])
    np.testing.assert_allclose(found, [1, 0, 0.5])
    self.assertEqual(judge([], []).shape, (0,))

  def test_lengths_must_agree(self):
    with self.assertRaises(ValueError):
      similarity.word_cosine(['a'], ['a', 'b'])


if __name__ == '__main__':
  absltest.main()
