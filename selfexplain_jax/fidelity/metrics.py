# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Fidelity of claims about changed outputs (arXiv 2511.08579, section 2.3).

An answer that makes no claim is invalid and counts as wrong everywhere but in
`macro_f1_valid_only`, which is the paper's own figure.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims as claims_lib
from selfexplain_jax.fidelity import statistics

INVALID = -1


@dataclasses.dataclass(frozen=True)
class Outcomes:
  """How one arm's answers compare with what re-running the target shows.

  Attributes:
    changed: whether the output did change, bool[N].
    claimed: 1 if the answer says changed, 0 unchanged, -1 invalid, int8[N].
    exact: verdict and content are right, bool[N].
    content: content is right, whatever the verdict, bool[N].
    group: the base person of the record, [N].
  """

  changed: np.ndarray
  claimed: np.ndarray
  exact: np.ndarray
  content: np.ndarray
  group: np.ndarray

  def __post_init__(self):
    shapes = {
      field.name: np.shape(getattr(self, field.name))
      for field in dataclasses.fields(self)
    }
    if len(set(shapes.values())) != 1 or len(shapes['changed']) != 1:
      raise errors.InputError(
        f'outcomes: expected arrays of one length, got shapes {shapes}'
      )
    if not self.changed.dtype == self.exact.dtype == self.content.dtype == bool:
      raise errors.InputError(
        'outcomes: expected changed, exact and content to be bool, got '
        f'{self.changed.dtype}, {self.exact.dtype}, {self.content.dtype}'
      )
    if not np.isin(self.claimed, (INVALID, 0, 1)).all():
      raise errors.InputError(
        'outcomes: expected claimed to be 1, 0 or -1, got '
        f'{np.unique(self.claimed).tolist()}'
      )
    right = self.content & (self.claimed == self.changed)
    impossible = (self.exact != right) | (
      self.content & (self.claimed == INVALID)
    )
    if impossible.any():
      raise errors.InputError(
        f'outcomes: row {np.argmax(impossible)}: expected exact to be right '
        'verdict and content, and neither for an invalid answer'
      )

  @classmethod
  def of(
    cls,
    effects: Sequence[claims_lib.Claim],
    claims: Sequence[claims_lib.Claim | None],
    group: Sequence[str] | Sequence[int] | np.ndarray,
  ) -> 'Outcomes':
    """Compares claims, None where invalid, with the true ones."""
    pairs = list(zip(effects, claims, strict=True))
    return cls(
      changed=np.array([true.changed for true, _ in pairs], bool),
      claimed=np.array(
        [INVALID if said is None else said.changed for _, said in pairs],
        np.int8,
      ),
      exact=np.array(
        [said is not None and said.matches(true) for true, said in pairs], bool
      ),
      content=np.array(
        [
          said is not None
          and claims_lib.same_content(said.content, true.content)
          for true, said in pairs
        ],
        bool,
      ),
      group=np.asarray(group),
    )


def score(
  outcomes: Outcomes, bootstrap: statistics.Bootstrap
) -> dict[str, dict[str, Any]]:
  """Returns every metric of one arm as `{name: {'value':, 'ci95': [,]}}`.

  Undefined figures, such as those of an empty stratum, are None.

  Raises:
    errors.InputError: if the bootstrap is of other records.
  """
  _check_groups(outcomes, bootstrap)
  cells = bootstrap.per_group(_one_hot(outcomes))
  estimates = {
    'exact_match': bootstrap.mean(outcomes.exact),
    'exact_match_changed': bootstrap.mean(outcomes.exact, outcomes.changed),
    'exact_match_unchanged': bootstrap.mean(outcomes.exact, ~outcomes.changed),
    'content_match': bootstrap.mean(outcomes.content),
    'valid_rate': bootstrap.mean(outcomes.claimed != INVALID),
    'claimed_changed_rate': bootstrap.mean(outcomes.claimed == 1),
    'macro_f1': bootstrap.statistic(cells, macro_f1),
    'macro_f1_valid_only': bootstrap.statistic(cells[..., :2], macro_f1),
  }
  return {name: estimate.to_json() for name, estimate in estimates.items()}


def compare(
  a: Outcomes, b: Outcomes, bootstrap: statistics.Bootstrap
) -> dict[str, dict[str, Any]]:
  """Returns a - b, paired, as `{name: {'value':, 'ci95': [,], 'p':}}`.

  Raises:
    errors.InputError: if the arms or the bootstrap are of different records.
  """
  _check_groups(a, bootstrap)
  _check_groups(b, bootstrap)
  if not np.array_equal(a.changed, b.changed):
    raise errors.InputError(
      'compare: expected two arms on the same records, but what changed '
      f'differs in {np.count_nonzero(a.changed != b.changed)} rows'
    )
  tests = {
    'exact_match': bootstrap.difference(a.exact, b.exact),
    'exact_match_changed': bootstrap.difference(a.exact, b.exact, a.changed),
    'macro_f1': bootstrap.statistic_difference(
      bootstrap.per_group(_one_hot(a)),
      bootstrap.per_group(_one_hot(b)),
      macro_f1,
    ),
  }
  return {name: test.to_json() for name, test in tests.items()}


def confusion(outcomes: Outcomes) -> np.ndarray:
  """Counts records, int[2, 3].

  Rows are what happened (unchanged, changed), columns what was claimed
  (unchanged, changed, invalid).
  """
  return _one_hot(outcomes).sum(0)


def macro_f1(confusion_2xC: np.ndarray) -> np.ndarray:
  """Returns the mean of the F1 of changed and of unchanged.

  Args:
    confusion_2xC: counts as in `confusion`, [..., 2, 3]; without the last
      column the figure is over valid answers only. An invalid answer is a
      miss of the true class and no false alarm of the other.

  Returns:
    float[...], NaN where a class neither happened nor was claimed.
  """
  hits = np.diagonal(confusion_2xC, axis1=-2, axis2=-1)
  happened = confusion_2xC.sum(-1)
  claimed = confusion_2xC[..., :2].sum(-2)
  return (2 * hits / (happened + claimed)).mean(-1)


def by_cell(
  outcomes: Outcomes, place: Sequence[str], treatment: Sequence[str]
) -> dict[str, list]:
  """Tables for heat maps: rows are places, columns treatments.

  Args:
    outcomes: of one arm.
    place: of each record, [N].
    treatment: of each record, [N].

  Returns:
    The sorted labels `places` and `treatments`, and the tables `n`,
    `exact_match` and `changed_rate`, with None in empty cells.
  """
  places, treatments = sorted(set(place)), sorted(set(treatment))
  row_of = {label: i for i, label in enumerate(places)}
  column_of = {label: i for i, label in enumerate(treatments)}
  rows = np.array([row_of[label] for label in place])
  columns = np.array([column_of[label] for label in treatment])

  def count(where: np.ndarray) -> np.ndarray:
    table = np.zeros((len(places), len(treatments)), np.int64)
    np.add.at(table, (rows, columns), where)
    return table

  n = count(np.ones(len(outcomes.exact), np.int64))
  exact, changed = count(outcomes.exact), count(outcomes.changed)
  return {
    'places': places,
    'treatments': treatments,
    'n': n.tolist(),
    'exact_match': _rates(exact, n),
    'changed_rate': _rates(changed, n),
  }


def _rates(part: np.ndarray, whole: np.ndarray) -> list[list[float | None]]:
  return [
    [float(a / b) if b else None for a, b in zip(*rows, strict=True)]
    for rows in zip(part, whole, strict=True)
  ]


def _one_hot(outcomes: Outcomes) -> np.ndarray:
  """Returns each record's own confusion table, int[N, 2, 3]."""
  n = len(outcomes.changed)
  cells = np.zeros((n, 2, 3), np.int64)
  # INVALID, -1, is the last column.
  cells[np.arange(n), outcomes.changed.astype(int), outcomes.claimed] = 1
  return cells


def _check_groups(outcomes: Outcomes, bootstrap: statistics.Bootstrap) -> None:
  if not np.array_equal(outcomes.group, bootstrap.groups):
    raise errors.InputError(
      'outcomes: expected the groups of the bootstrap, '
      f'{len(bootstrap.groups)} records, got {len(outcomes.group)} records '
      'or other groups'
    )
