# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the questions asked, and of what controls put in their place."""

import dataclasses

from absl.testing import absltest
import numpy as np

from tests.data import fixtures
from tests.fidelity import fixtures as asked_of

EXPLAINED = asked_of.EXPLAINED
ASKED, ASKED_ABLATION = asked_of.PATCHING, asked_of.ABLATION


class AskedTest(absltest.TestCase):
  def test_vectors_are_those_that_the_records_refer_to(self):
    np.testing.assert_array_equal(
      ASKED.vectors, EXPLAINED.vectors[ASKED.chosen][:, None]
    )
    self.assertTrue(ASKED.shows_vectors)
    self.assertFalse(ASKED_ABLATION.shows_vectors)

  def test_shuffled_vectors_are_of_the_cell_but_never_the_rows_own(self):
    shuffled, alone = ASKED.shuffled(), 0
    cells = {}
    for n, row in enumerate(ASKED.rows):
      cells.setdefault((row['place'], row['treatment']), []).append(n)
    self.assertGreater(max(map(len, cells.values())), 1)
    for members in cells.values():
      self.assertSameElements(
        map(tuple, shuffled[members, 0].tolist()),
        map(tuple, ASKED.vectors[members, 0].tolist()),
      )
      alone += len(members) == 1
      for n in members:
        own = np.array_equal(shuffled[n], ASKED.vectors[n])
        self.assertEqual(own, len(members) == 1)
    self.assertEqual(ASKED.same_when_shuffled(), alone)
    own = {
      tuple(v): row['answer']
      for v, row in zip(ASKED.vectors[:, 0].tolist(), ASKED.rows, strict=True)
    }
    same = [
      own[tuple(v)] == row['answer']
      for v, row in zip(shuffled[:, 0].tolist(), ASKED.rows, strict=True)
    ]
    self.assertEqual(ASKED.same_answer_when_shuffled(), sum(same))

  def test_misplaced_asks_about_other_layers_and_never_its_own(self):
    misplaced = ASKED.misplaced()
    names = ('first_layer', 'last_layer')
    told = set()
    for row, asked in zip(ASKED.rows, misplaced, strict=True):
      # Nothing but the layers differs.
      self.assertEqual({**asked, **{n: row[n] for n in names}}, row)
      own, other = ([r[n] for n in names] for r in (row, asked))
      self.assertNotEqual(own, other)
      self.assertIn(tuple(other), fixtures.BLOCKS)
      told.add((tuple(own), tuple(other)))
    # Each of the three is taken for either of the others.
    self.assertLen(told, 6)
    self.assertEqual(ASKED.misplaced(), misplaced)
    other = dataclasses.replace(ASKED, seed=1).misplaced()
    self.assertNotEqual(other, misplaced)

  def test_nothing_is_misplaced_where_all_is_of_one_place_or_none(self):
    self.assertEqual(ASKED_ABLATION.misplaced(), [])
    one = [i for i in ASKED.chosen if EXPLAINED.rows[i]['treatment'] == '0']
    self.assertNotEmpty(one)
    alone = dataclasses.replace(ASKED, chosen=np.array(one))
    self.assertEqual(alone.misplaced(), [])


if __name__ == '__main__':
  absltest.main()
