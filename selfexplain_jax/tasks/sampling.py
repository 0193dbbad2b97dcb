# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Samples treatments of prompts: draws, runs, checks and balances them."""

from collections.abc import Sequence
import dataclasses
from typing import Any, Protocol

from absl import logging
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import cells as cells_lib

SPLITS = ('train', 'validation', 'test')


def check(config: ml_collections.ConfigDict, least: int = 1) -> None:
  """Checks the fields that `sample` reads.

  Args:
    config: of the explanation set.
    least: the least quota: 0 where that stands for all that there are.

  Raises:
    errors.InputError: naming the first field that is too small.
  """
  values = {
    'rounds': (config.rounds, 1),
    **{f'quota.{split}': (config.quota[split], least) for split in SPLITS},
    **{
      f'floor.{verdict}': (share, 0) for verdict, share in config.floor.items()
    },
  }
  for name, (value, least) in values.items():
    if value < least:
      raise errors.InputError(
        f'config.{name} is {value}: expected at least {least}'
      )


class Treatments(Protocol):
  """What can be done to prompts.

  Attributes:
    places: names of where something is done.
    kinds: names of what is done there.
  """

  @property
  def places(self) -> tuple[str, ...]: ...

  @property
  def kinds(self) -> tuple[str, ...]: ...

  def draw(
    self, usable: np.ndarray, wanted: np.ndarray, purpose: str
  ) -> cells_lib.Drawn:
    """Draws treatments of the usable prompts; see `cells.draw`.

    It may return all that there are, in an order that is drawn.
    """
    ...

  def run(self, drawn: cells_lib.Drawn, batch: int) -> effects_lib.Effects:
    """Runs them on the target."""
    ...

  def run_clean(self, prompts: np.ndarray, batch: int) -> effects_lib.Effects:
    """Runs prompts, by index, as they are."""
    ...


@dataclasses.dataclass(frozen=True)
class Sample:
  """The treatments of one split that are kept.

  Attributes:
    drawn: N treatments; `kind` is the place and `block` what is done there.
    effects: of each.
    balanced: bool[N], whether its (place, treatment) is balanced.
    notes: what was left out, and why.
  """

  drawn: cells_lib.Drawn
  effects: effects_lib.Effects
  balanced: np.ndarray
  notes: dict[str, Any]


def sample(
  treatments: Treatments,
  clean: effects_lib.Effects,
  usable: np.ndarray,
  config: ml_collections.ConfigDict,
  split: str,
  ends: Sequence[int] = (),
) -> Sample:
  """Samples the treatments of one split.

  Args:
    treatments: what can be done.
    clean: what the target says to every prompt as it is.
    usable: i64[M], the prompts of the split.
    config: `seed`; `dtype`, that the target is run in; `keep_unstable`, whether
      verdicts that another batch shape flips are kept; `quota.SPLIT`, the most
      treatments of a verdict in each (place, treatment), 0 for all that there
      are; `rounds`, how often they are drawn for those whose quota is not
      reached; `floor`, shares of the quota, see `cells.balance`.
    split: its name.
    ends: tokens that end a text: where the target says one of them, with or
      without the treatment, nothing is asked.

  Raises:
    errors.InputError: if there are none.
  """
  shape = (len(treatments.places), len(treatments.kinds))
  quota = config.quota[split]
  wanted = np.full(shape, 2 * quota, np.int64)
  drawn, shown = cells_lib.nothing(), effects_lib.nothing()
  for round_ in range(config.rounds if len(usable) else 0):
    # Those of earlier rounds come first in the join, and are not run again.
    more = treatments.draw(usable, wanted, f'{split}/{round_}')
    joined = cells_lib.join([drawn, more])
    if len(joined) == len(drawn):
      break
    new = joined.take(np.arange(len(drawn), len(joined)))
    shown = effects_lib.join([shown, treatments.run(new, stability.BATCH)])
    drawn = joined
    changed = shown.token != clean.token[drawn.base]
    verdicts = np.zeros((*shape, 2), np.int64)
    np.add.at(verdicts, (drawn.kind, drawn.block, changed.astype(int)), 1)
    lacking = verdicts.min(-1) < quota
    hopeful = verdicts.min(-1) > 0
    wanted = np.where(lacking & hopeful, 8 * quota, 0)
  if not len(drawn):
    raise errors.InputError(
      f'nothing to ask in split {split}: expected prompts of different '
      f'answers, and {len(usable)} may be used'
    )

  before = clean.take(drawn.base)
  margin = stability.margin(before, shown)
  ended = np.isin(shown.token, ends) | np.isin(before.token, ends)
  floor = [round(config.floor[v] * quota) for v in ('unchanged', 'changed')]
  if not quota:
    quota, floor = len(drawn), [len(drawn)] * 2
  # Of what was found in plenty, twice of what is kept is looked at again.
  asked = np.flatnonzero(~ended)
  most = 2 * max(quota, *floor)
  asked = asked[_first(drawn.take(asked), changed[asked], shape, most)]
  again = asked[stability.doubtful(margin[asked], config.dtype)]
  flips = _flips(treatments, drawn.take(again), before, shown, again)
  unstable = np.zeros(len(drawn), bool)
  unstable[again] = flips & (not config.keep_unstable)
  steady = asked[~unstable[asked]]
  kept = cells_lib.balance(
    drawn.take(steady), changed[steady], shape, quota, (floor[0], floor[1])
  )
  rows = steady[kept.rows]
  order = np.random.default_rng([config.seed, len(rows)]).permutation(len(rows))
  rows = rows[order]
  chosen = drawn.take(rows)
  balanced = kept.balanced[chosen.kind, chosen.block]
  notes: dict[str, Any] = {
    'drawn': len(drawn),
    'changed_share_drawn': float(np.mean(changed)),
    'run_again': len(again),
    'dropped_unstable': int(np.sum(unstable)),
    'dropped_says_the_end': int(np.sum(ended)),
    'kept': len(rows),
    'kept_changed': int(np.sum(changed[rows])),
    'kept_in_balanced_cells': int(np.sum(balanced)),
  }
  logging.info(
    'Split %s: %s', split, ', '.join(f'{k} {v}' for k, v in notes.items())
  )
  notes['flipped'] = stability.notes(margin[again], flips)
  if len(again):
    logging.info(
      'Split %s: in another batch shape %d of %d verdicts flip, %.2f%%',
      split,
      np.sum(flips),
      len(again),
      100 * np.mean(flips),
    )
  notes['kept_by_cell'] = {
    f'{place}, {kind}': {
      'unchanged': int(kept.counts[p, k, 0]),
      'changed': int(kept.counts[p, k, 1]),
    }
    for p, place in enumerate(treatments.places)
    for k, kind in enumerate(treatments.kinds)
  }
  return Sample(chosen, shown.take(rows), balanced, notes)


def _first(
  drawn: cells_lib.Drawn, changed: np.ndarray, shape: tuple[int, int], most: int
) -> np.ndarray:
  """Which are among the first so many of their verdict and cell, bool[N]."""
  cell = (drawn.kind * shape[1] + drawn.block) * 2 + changed
  order = np.argsort(cell, kind='stable')
  ordered = cell[order]
  rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
  first = np.empty(len(order), bool)
  first[order] = rank < most
  return first


def _flips(treatments, some, before, shown, rows) -> np.ndarray:
  """Which of some verdicts, the rows of all, flip in another batch shape."""
  if not len(rows):
    return np.zeros(0, bool)
  return stability.flipped(
    before.take(rows),
    shown.take(rows),
    treatments.run_clean(some.base, stability.OTHER_BATCH),
    treatments.run(some, stability.OTHER_BATCH),
  )
