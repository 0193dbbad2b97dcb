# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of which cells are drawn and which are kept."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.tasks import cells

# Two kinds of prompt and four values. Prompts 0 and 1 begin alike: up to the
# position `early` they are one text.
IDS = [
  [1, 5, 6, 7],
  [1, 5, 8, 7],
  [1, 9, 6, 7],
  [1, 9, 8, 7],
  [1, 5, 10, 11],
  [1, 9, 10, 11],
  [1, 12, 10, 11],
  [1, 12, 6, 7],
]
KINDS = ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'a']
VALUE = np.array([20, 21, 22, 20, 23, 24, 23, 25], np.int32)
PROMPTS = prompts_lib.Prompts(
  ids=IDS,
  text=[' '.join(map(str, ids[1:])) for ids in IDS],
  positions={
    'early': np.full(8, 1, np.int32),
    'last': np.full(8, 3, np.int32),
  },
  kind=KINDS,
  group=[f'g{i}' for i in range(8)],
  split=['train'] * 8,
  answer=VALUE,
  known=np.ones(8, bool),
)
PLACES = np.stack(list(PROMPTS.positions.values()), 1)


def _draw(usable=range(7), wanted=400, seed=0, purpose='train/0'):
  return cells.draw(
    PROMPTS,
    np.array(usable),
    VALUE,
    np.full((2, 3), wanted),
    seed,
    purpose,
  )


def _rows(drawn):
  fields = (getattr(drawn, f.name) for f in dataclasses.fields(drawn))
  return list(zip(*(field.tolist() for field in fields), strict=True))


def _drawn(*rows):
  return cells.Drawn(*np.array(rows, np.int64).reshape(-1, 4).T)


class DrawTest(absltest.TestCase):
  def test_draws_every_pair_that_may_be_asked_and_no_other(self):
    usable = range(7)  # Not the last prompt.
    expected = {
      (base, other, kind, block)
      for base in usable
      for other in usable
      for kind in range(2)
      for block in range(3)
      if KINDS[base] == KINDS[other]
      and VALUE[base] != VALUE[other]
      and IDS[base][: PLACES[base, kind] + 1]
      != IDS[other][: PLACES[base, kind] + 1]
    }
    self.assertEqual(set(_rows(_draw(usable))), expected)
    # Such as this one, whose prompts differ only after the first word.
    self.assertNotIn((0, 1, 0, 0), expected)
    self.assertIn((0, 1, 1, 0), expected)

  def test_draws_what_is_wanted_of_each_cell(self):
    wanted = np.array([[0, 50, 0], [200, 0, 0]])
    drawn = cells.draw(PROMPTS, np.arange(7), VALUE, wanted, 0, 'train/0')
    self.assertEqual({row[2:] for row in _rows(drawn)}, {(0, 1), (1, 0)})
    counts = np.bincount(drawn.kind, minlength=2)
    self.assertTrue(np.all(counts <= [50, 200]))
    self.assertTrue(np.all(counts >= [15, 80]))

  def test_is_a_function_of_seed_and_purpose(self):
    rows = _rows(_draw(wanted=5))
    self.assertEqual(_rows(_draw(wanted=5)), rows)
    self.assertNotEqual(_rows(_draw(wanted=5, seed=1)), rows)
    self.assertNotEqual(_rows(_draw(wanted=5, purpose='test/0')), rows)

  def test_wanting_nothing_gives_nothing(self):
    self.assertEmpty(_draw(wanted=0))


class JoinTest(absltest.TestCase):
  def test_keeps_the_first_of_equal_cells_in_order(self):
    a, b, c, d = (9, 1, 0, 0), (2, 1, 0, 0), (2, 1, 0, 1), (0, 3, 1, 2)
    joined = cells.join([_drawn(a, b, a), _drawn(c, b, d), cells.nothing()])
    self.assertEqual(_rows(joined), [a, b, c, d])

  def test_of_nothing_is_nothing(self):
    self.assertEmpty(cells.join([cells.nothing(), cells.nothing()]))

  def test_cells_at_two_positions_are_two(self):
    columns = [[0, 0, 0], [1, 1, 1], [2, 2, 2], [0, 0, 0], [7, 8, 7]]
    placed = cells.Placed(*(np.array(column) for column in columns))
    joined = cells.join([cells.nothing(), placed])
    self.assertIsInstance(joined, cells.Placed)
    self.assertEqual(joined.position.tolist(), [7, 8])
    self.assertEqual(placed.take(np.array([1])).position.tolist(), [8])


class BalanceTest(parameterized.TestCase):
  # Cell (0, 0): rows 0 to 5, of which 1 and 4 changed. Cell (0, 1): rows 6 to
  # 8, none changed. Cell (1, 0): row 9, changed. Cell (1, 1): rows 10 and 11.
  DRAWN = cells.Drawn(
    base=np.arange(12),
    counterfactual=np.arange(12) + 100,
    kind=np.array([0] * 9 + [1] * 3),
    block=np.array([0] * 6 + [1] * 3 + [0] + [1] * 2),
  )
  CHANGED = np.isin(np.arange(12), (1, 4, 9, 10))

  @parameterized.parameters(
    # As many of both, the first ones; where one is missing, the floor.
    (5, (1, 1), [0, 1, 2, 4, 6, 9, 10, 11]),
    (5, (2, 0), [0, 1, 2, 4, 6, 7, 10, 11]),
    (5, (0, 2), [0, 1, 2, 4, 9, 10, 11]),
    (1, (1, 1), [0, 1, 6, 9, 10, 11]),
  )
  def test_by_hand(self, quota, floor, expected):
    kept = cells.balance(self.DRAWN, self.CHANGED, (2, 2), quota, floor)
    self.assertEqual(kept.rows.tolist(), expected)
    self.assertEqual(kept.balanced.tolist(), [[True, False], [False, True]])
    for kind, block, verdict in np.ndindex(2, 2, 2):
      count = sum(
        (self.DRAWN.kind[r], self.DRAWN.block[r], self.CHANGED[r])
        == (kind, block, verdict)
        for r in expected
      )
      self.assertEqual(kept.counts[kind, block, verdict], count)

  def test_a_floor_above_the_rarer_verdict_leaves_the_cell_unbalanced(self):
    kept = cells.balance(self.DRAWN, self.CHANGED, (2, 2), 5, (3, 1))
    self.assertEqual(kept.rows[:5].tolist(), [0, 1, 2, 3, 4])
    self.assertFalse(kept.balanced[0, 0])
    self.assertEqual(kept.counts[0, 0].tolist(), [3, 2])

  def test_a_cell_without_rows_is_not_balanced(self):
    kept = cells.balance(cells.nothing(), np.zeros(0, bool), (1, 1), 5, (1, 1))
    self.assertEmpty(kept.rows)
    self.assertFalse(kept.balanced.any())


if __name__ == '__main__':
  absltest.main()
