# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of how treatments are sampled, with effects from a table."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import sampling

PROMPTS = 50
CLEAN = effects_lib.Effects(
  token=np.arange(PROMPTS, dtype=np.int32),
  margin=np.full(PROMPTS, 1.0, np.float32),
  written=np.zeros(PROMPTS, np.int32),
)
PLACES, KINDS = ('x', 'y'), ('a', 'b')


def _config(
  quota=4,
  rounds=2,
  floor=(0.5, 1.0),
  seed=0,
  dtype='float32',
  keep_unstable=False,
):
  config = ml_collections.ConfigDict()
  config.seed, config.rounds = seed, rounds
  config.dtype, config.keep_unstable = dtype, keep_unstable
  config.quota = dict.fromkeys(sampling.SPLITS, quota)
  config.floor = dict(unchanged=floor[0], changed=floor[1])
  return config


def _drawn(rows):
  return cells_lib.Drawn(*np.array(rows, np.int64).reshape(-1, 4).T)


def _rows(drawn):
  fields = (getattr(drawn, f.name) for f in dataclasses.fields(drawn))
  return list(zip(*(field.tolist() for field in fields), strict=True))


class Table:
  """Treatments that are written down, as `sampling.Treatments`.

  Attributes:
    rounds: what each round draws, rows (base, counterfactual, place, kind).
    changed: rows that change the output.
    narrow: rows whose verdict is narrow.
    wavering: rows that say something else in another batch.
    wavering_clean: prompts that do.
  """

  def __init__(
    self, rounds, changed, narrow=(), wavering=(), wavering_clean=()
  ):
    self.rounds, self.changed, self.narrow = rounds, set(changed), set(narrow)
    self.wavering, self.wavering_clean = set(wavering), set(wavering_clean)
    self.draws, self.runs, self.clean_runs = [], [], []

  places, kinds = PLACES, KINDS

  def draw(self, usable, wanted, purpose):
    self.draws.append((usable.tolist(), wanted.tolist(), purpose))
    return _drawn(self.rounds[len(self.draws) - 1])

  def token(self, row, batch):
    other = row in self.wavering and batch != self.runs[0][1]
    return 200 if other else 100 if row in self.changed else row[0]

  def run(self, drawn, batch):
    rows = _rows(drawn)
    self.runs.append((rows, batch))
    return effects_lib.Effects(
      np.array([self.token(row, batch) for row in rows], np.int32),
      np.array(
        [1e-3 if row in self.narrow else 1 + row[0] / 100 for row in rows],
        np.float32,
      ),
      np.ones(len(rows), np.int32),
    )

  def run_clean(self, prompts, batch):
    self.clean_runs.append((prompts.tolist(), batch))
    tokens = np.where(np.isin(prompts, list(self.wavering_clean)), 201, prompts)
    zeros = np.zeros(len(prompts), np.int32)
    return effects_lib.Effects(tokens.astype(np.int32), zeros + 1.0, zeros)


def _sample(table, clean=CLEAN, split='train', usable=(3, 4, 5), **changes):
  return sampling.sample(
    table, clean, np.array(usable, np.int64), _config(**changes), split
  )


def _cell(place, kind, bases):
  return [(base, base, place, kind) for base in bases]


class DrawTest(absltest.TestCase):
  def test_a_second_round_wants_more_where_a_verdict_is_rare(self):
    rounds = [
      [
        *_cell(0, 0, range(8)),  # 4 of each: the quota is reached.
        *_cell(0, 1, range(8)),  # 1 changed: more may be found.
        *_cell(1, 0, range(8)),  # None changed: there is no hope.
        *_cell(1, 1, range(2)),  # 1 of each: more may be found.
      ],
      _cell(0, 1, range(8, 20)),
    ]
    changed = [
      *_cell(0, 0, range(4)),
      *_cell(0, 1, (0, 9, 11)),
      *_cell(1, 1, (1,)),
    ]
    table = Table(rounds, changed)
    made = _sample(table, split='validation')
    self.assertEqual(
      table.draws,
      [
        ([3, 4, 5], [[8, 8], [8, 8]], 'validation/0'),
        ([3, 4, 5], [[0, 32], [0, 32]], 'validation/1'),
      ],
    )
    # Those of the second round alone are run in it.
    self.assertEqual([rows for rows, _ in table.runs], [rounds[0], rounds[1]])
    self.assertEqual(
      made.notes['kept_by_cell'],
      {
        'x, a': {'unchanged': 4, 'changed': 4},
        'x, b': {'unchanged': 3, 'changed': 3},
        'y, a': {'unchanged': 2, 'changed': 0},
        # Half of the quota would be 2, but there is one.
        'y, b': {'unchanged': 1, 'changed': 1},
      },
    )
    self.assertEqual(made.notes['drawn'], 38)
    self.assertAlmostEqual(made.notes['changed_share_drawn'], 8 / 38)
    self.assertEqual(made.notes['kept'], 18)
    self.assertEqual(made.notes['kept_changed'], 8)
    self.assertEqual(made.notes['kept_in_balanced_cells'], 16)

  def test_what_was_drawn_before_is_not_run_again(self):
    again = _cell(0, 0, (7, 1, 30))
    table = Table([_cell(0, 0, range(8)), again], _cell(0, 0, (0,)))
    made = _sample(table)
    self.assertEqual(table.runs[1][0], _cell(0, 0, (30,)))
    self.assertEqual(made.notes['drawn'], 9)

  def test_stops_when_a_round_draws_nothing_new(self):
    rows = _cell(0, 0, range(8))
    table = Table([rows, rows, rows], _cell(0, 0, (0,)))
    _sample(table, rounds=3)
    self.assertLen(table.draws, 2)
    self.assertLen(table.runs, 1)

  def test_one_round_draws_once(self):
    table = Table([_cell(0, 0, range(8))], _cell(0, 0, (0,)))
    _sample(table, rounds=1)
    self.assertLen(table.draws, 1)

  def test_refuses_a_split_of_which_nothing_is_drawn(self):
    with self.assertRaisesRegex(
      errors.InputError, 'nothing to ask in split test: .* 3 may be used'
    ):
      _sample(Table([[]], []), split='test')

  def test_refuses_a_split_without_prompts(self):
    table = Table([[]], [])
    with self.assertRaisesRegex(errors.InputError, 'and 0 may be used'):
      _sample(table, usable=())
    self.assertEmpty(table.draws)


class KeepTest(parameterized.TestCase):
  def random_table(self):
    rng = np.random.default_rng(0)
    rows = [
      (int(base), int(other), int(place), int(kind))
      for place, kind in np.ndindex(2, 2)
      for base, other in rng.integers(PROMPTS, size=(40, 2))
    ]
    share = {(0, 0): 0.5, (0, 1): 0.1, (1, 0): 0.9, (1, 1): 0.0}
    changed = [row for row in rows if rng.random() < share[row[2:]]]
    return Table([rows, []], changed), rows

  @parameterized.parameters((4, (0.5, 1.0)), (12, (0.25, 0.0)), (100, (1, 1)))
  def test_quota_balance_and_floor(self, quota, floor):
    table, rows = self.random_table()
    made = _sample(table, quota=quota, floor=floor)
    kept = _rows(made.drawn)
    self.assertLen(set(kept), len(kept))
    self.assertContainsSubset(kept, rows)
    for place, kind in np.ndindex(2, 2):
      drawn, own = (
        [
          sum(
            r[2:] == (place, kind) and (r in table.changed) == v for r in some
          )
          for v in (False, True)
        ]
        for some in (set(rows), kept)
      )
      even = min(quota, *drawn)
      expected = [
        max(even, min(round(floor[v] * quota), drawn[v])) for v in (0, 1)
      ]
      self.assertEqual(own, expected)
      balanced = {
        bool(made.balanced[n])
        for n, row in enumerate(kept)
        if row[2:] == (place, kind)
      }
      self.assertEqual(balanced, {own[0] == own[1]} if sum(own) else set())

  def test_effects_are_those_of_the_rows(self):
    table, _ = self.random_table()
    made = _sample(table, quota=12)
    kept = _rows(made.drawn)
    self.assertNotEmpty(kept)
    expected = [100 if row in table.changed else row[0] for row in kept]
    self.assertEqual(made.effects.token.tolist(), expected)
    np.testing.assert_allclose(
      made.effects.margin, [1 + row[0] / 100 for row in kept]
    )

  def test_order_is_drawn_by_the_seed_and_says_nothing(self):
    first, again, other = (
      _sample(self.random_table()[0], quota=12, seed=seed) for seed in (0, 0, 1)
    )
    self.assertEqual(_rows(first.drawn), _rows(again.drawn))
    self.assertNotEqual(_rows(first.drawn), _rows(other.drawn))
    self.assertCountEqual(_rows(first.drawn), _rows(other.drawn))
    cells = [row[2:] for row in _rows(first.drawn)]
    self.assertNotEqual(cells, sorted(cells))


class UnstableTest(absltest.TestCase):
  ROWS = _cell(0, 0, range(6))
  CHANGED = _cell(0, 0, (0, 1, 2))

  def kept(self, clean=CLEAN, config=None, **changes):
    self.table = Table([self.ROWS, []], self.CHANGED, **changes)
    made = _sample(self.table, clean, floor=(1, 1), **(config or {}))
    return sorted(row[0] for row in _rows(made.drawn)), made.notes

  def test_wide_verdicts_are_not_run_again(self):
    # They would waver, if they were.
    kept, notes = self.kept(wavering=self.ROWS)
    self.assertEqual(kept, [0, 1, 2, 3, 4, 5])
    self.assertEqual((notes['run_again'], notes['dropped_unstable']), (0, 0))
    self.assertLen(self.table.runs, 1)

  def test_narrow_verdicts_that_waver_are_dropped(self):
    kept, notes = self.kept(
      narrow=_cell(0, 0, (1, 3, 4)), wavering=_cell(0, 0, (1, 2, 4))
    )
    self.assertEqual(kept, [0, 2, 3, 5])
    self.assertEqual((notes['run_again'], notes['dropped_unstable']), (3, 2))
    (_, batch), (again, other) = self.table.runs
    self.assertEqual(again, _cell(0, 0, (1, 3, 4)))
    self.assertNotEqual(other, batch)
    self.assertEqual(self.table.clean_runs, [([1, 3, 4], other)])

  def test_narrow_clean_verdicts_that_waver_are_dropped(self):
    margin = CLEAN.margin.copy()
    margin[[2, 5]] = 1e-3
    kept, notes = self.kept(
      dataclasses.replace(CLEAN, margin=margin), wavering_clean=(1, 2)
    )
    self.assertEqual(kept, [0, 1, 3, 4, 5])
    self.assertEqual((notes['run_again'], notes['dropped_unstable']), (2, 1))

  def test_flips_are_counted_by_margin(self):
    # Margins are 1 or, of narrow ones, 0.001.
    _, notes = self.kept(
      config=dict(dtype='bfloat16'),
      narrow=_cell(0, 0, (1, 3, 4)),
      wavering=_cell(0, 0, (1, 2, 4)),
      wavering_clean=(2, 5),
    )
    flipped = notes['flipped']
    self.assertEqual((flipped['run_again'], flipped['count']), (6, 4))
    self.assertAlmostEqual(flipped['share'], 4 / 6)
    by_margin = flipped['by_margin']
    self.assertEqual(by_margin['below 0.01'], {'run_again': 3, 'count': 2})
    self.assertEqual(by_margin['below 0.1'], {'run_again': 0, 'count': 0})
    self.assertEqual(by_margin['below inf'], {'run_again': 3, 'count': 2})

  def test_in_bfloat16_all_verdicts_are_run_again(self):
    kept, notes = self.kept(
      config=dict(dtype='bfloat16'), wavering=_cell(0, 0, (2, 4))
    )
    self.assertEqual(kept, [0, 1, 3, 5])
    self.assertEqual((notes['run_again'], notes['dropped_unstable']), (6, 2))
    self.assertEqual(self.table.runs[1][0], self.ROWS)

  def test_unstable_verdicts_are_kept_if_so_asked(self):
    kept, notes = self.kept(
      config=dict(dtype='bfloat16', keep_unstable=True),
      wavering=_cell(0, 0, (2, 4)),
    )
    self.assertEqual(kept, [0, 1, 2, 3, 4, 5])
    self.assertEqual(notes['dropped_unstable'], 0)
    self.assertEqual(notes['flipped']['count'], 2)

  def test_nothing_run_again_flips_no_share(self):
    _, notes = self.kept()
    self.assertIsNone(notes['flipped']['share'])


class AllTest(absltest.TestCase):
  """What is left of treatments that are all there are."""

  ROWS = (*_cell(0, 0, range(30)), *_cell(1, 1, range(30, 40)))
  CHANGED = (*_cell(0, 0, range(25)), *_cell(1, 1, (30,)))

  def sample(self, ends=(), quota=0, clean=CLEAN, **changes):
    self.table = Table([self.ROWS], self.CHANGED, **changes)
    config = _config(quota=quota, rounds=1, floor=(0, 0))
    usable = np.arange(PROMPTS)
    return sampling.sample(self.table, clean, usable, config, 'train', ends)

  def test_a_quota_of_0_keeps_them_all(self):
    made = self.sample()
    self.assertCountEqual(_rows(made.drawn), self.ROWS)
    self.assertEqual(made.notes['kept_changed'], 26)
    self.assertEqual(set(made.balanced.tolist()), {False})

  def test_outputs_that_end_a_text_are_dropped_and_counted(self):
    # 100 is what changed treatments say, and 27 prompt 27 without one.
    made = self.sample(ends=(100, 27))
    unchanged = set(self.ROWS) - set(self.CHANGED) - set(_cell(0, 0, (27,)))
    self.assertCountEqual(_rows(made.drawn), unchanged)
    self.assertEqual(made.notes['dropped_says_the_end'], 27)
    made = self.sample(ends=(7,))
    self.assertCountEqual(
      _rows(made.drawn), set(self.ROWS) - set(_cell(0, 0, (7,)))
    )

  def test_of_plenty_no_more_is_looked_at_again_than_may_be_kept(self):
    # 25 changed and 5 unchanged of one cell, 1 and 9 of the other; all narrow.
    made = self.sample(quota=3, narrow=self.ROWS)
    again = self.table.runs[1][0]
    self.assertEqual(
      again,
      [*_cell(0, 0, (*range(6), *range(25, 30))), *_cell(1, 1, range(30, 37))],
    )
    self.assertEqual(made.notes['run_again'], len(again))
    self.assertEqual(made.notes['kept'], 3 + 3 + 1 + 1)

  def test_what_takes_their_place_is_of_those(self):
    wavering = _cell(0, 0, range(4))
    made = self.sample(quota=3, narrow=self.ROWS, wavering=wavering)
    kept = [row[0] for row in _rows(made.drawn) if row[0] < 25]
    self.assertCountEqual(kept, (4, 5))


class CheckTest(parameterized.TestCase):
  def test_a_quota_of_0_may_stand_for_all(self):
    sampling.check(_config(quota=0), least=0)
    with self.assertRaisesRegex(errors.InputError, 'quota.train is 0'):
      sampling.check(_config(quota=0))

  def test_is_silent_when_all_is_well(self):
    sampling.check(_config(quota=1, rounds=1, floor=(0, 0)))

  @parameterized.parameters(
    ('rounds', 0, 1),
    ('quota.train', 0, 1),
    ('quota.test', -1, 1),
    ('floor.unchanged', -0.5, 0),
    ('floor.changed', -1, 0),
  )
  def test_names_the_field_that_is_too_small(self, name, value, least):
    config = _config()
    config.update_from_flattened_dict({name: value})
    with self.assertRaisesRegex(
      errors.InputError,
      f'^config.{name} is {value}.*: expected at least {least}$',
    ):
      sampling.check(config)


if __name__ == '__main__':
  absltest.main()
