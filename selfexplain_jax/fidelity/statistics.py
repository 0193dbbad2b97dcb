# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Intervals and tests that resample whole groups of records.

Records that share a base person (or a feature) are not independent: an
explainer that knows the person is right on many of them at once. So the group,
not the record, is the unit of everything here. Each statistic is a function of
sums over records, so that a resample costs one row of a matrix product over
the sums of each group, whatever the number of records.

Letters: N records, G groups, R resamples.
"""

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any
import zlib

import numpy as np

from selfexplain_jax import errors

# Maps sums over records, [..., *shape], to one statistic each, [...].
Statistic = Callable[[np.ndarray], np.ndarray]

# At most this many weights are held as float64 at a time: 32 MiB.
_BLOCK = 2**22
# Equal statistics may differ by this part when summed in another order.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A statistic with its 95% interval; NaN where it is undefined."""

  value: float
  ci95: tuple[float, float]

  def to_json(self) -> dict[str, Any]:
    """Returns the fields for JSON, with null in place of NaN."""
    return {
      'value': _null(self.value),
      'ci95': [_null(end) for end in self.ci95],
    }


@dataclasses.dataclass(frozen=True)
class Test(Estimate):
  """A difference with its 95% interval and two-sided p-value."""

  p: float

  def to_json(self) -> dict[str, Any]:
    """Returns the fields for JSON, with null in place of NaN."""
    return super().to_json() | {'p': _null(self.p)}


class Bootstrap:
  """Resamples of the groups of one set of records, shared by all statistics.

  Intervals are percentile bootstrap intervals over groups drawn with
  replacement, NaN when fewer than two groups contribute. Resamples in which
  the statistic is undefined (none of the few groups of a stratum was drawn)
  are left out.

  P-values come from a permutation test that swaps the two arms within each
  group at random, all records of a group together; for a mean this flips the
  signs of the groups' differences. It is used rather than a shifted bootstrap
  because it is exact, for any number of groups of any sizes and for any
  statistic, when the arms are exchangeable within a group; and because for
  means it holds in large samples whenever the mean difference is zero, the
  spread of the flipped sum being that of the sum itself. An observed
  difference of exactly zero has p = 1, and a single group too.

  Attributes:
    groups: the group of each record, [N].
    index: the group of each record as a number in [0, G), int[N].
    counts: how often each group was drawn, int32[R, G].
    swaps: 1 where a group's arms are exchanged, int8[R, G].
  """

  def __init__(
    self,
    groups: Sequence[str] | Sequence[int] | np.ndarray,
    resamples: int = 10_000,
    seed: int = 0,
  ):
    """Draws the resamples.

    Args:
      groups: the group (base person, feature) of each record, [N].
      resamples: R; the p-values cannot be below 1 / (1 + R).
      seed: of the resamples.

    Raises:
      errors.InputError: if there are no records or no resamples.
    """
    self.groups = np.asarray(groups)
    if self.groups.ndim != 1 or not self.groups.size or resamples < 1:
      raise errors.InputError(
        'bootstrap: expected at least one record with one group each and at '
        f'least one resample, got groups of shape {self.groups.shape} and '
        f'{resamples} resamples'
      )
    names, self.index = np.unique(self.groups, return_inverse=True)
    size = len(names)
    rng = np.random.default_rng([seed, zlib.crc32(b'bootstrap')])
    chances = np.full(size, 1 / size)
    self.counts = rng.multinomial(size, chances, resamples).astype(np.int32)
    self.swaps = rng.integers(2, size=(resamples, size), dtype=np.int8)

  def per_group(self, values: np.ndarray) -> np.ndarray:
    """Sums the values of each group's records.

    Args:
      values: bool, int or float[N, ...].

    Returns:
      float64[G, ...].

    Raises:
      errors.InputError: if there is not one value for each record, or if one
        is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.shape[:1] != self.groups.shape or not np.isfinite(values).all():
      raise errors.InputError(
        'bootstrap: expected one finite value for each of the '
        f'{len(self.groups)} records, got shape {values.shape} with '
        f'{np.count_nonzero(~np.isfinite(values))} not finite'
      )
    sums = np.zeros((self.counts.shape[1], *values.shape[1:]))
    np.add.at(sums, self.index, values)
    return sums

  def mean(
    self, values: np.ndarray, where: np.ndarray | None = None
  ) -> Estimate:
    """Returns the mean over records, of `values[N]` or of those `where`."""
    return self.statistic(self._sums_and_sizes(values, where), _ratio)

  def difference(
    self, a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None
  ) -> Test:
    """Returns mean(a) - mean(b), paired by record, over those `where`."""
    return self.statistic_difference(
      self._sums_and_sizes(a, where), self._sums_and_sizes(b, where), _ratio
    )

  def mean_of_defined(self, values: np.ndarray) -> Estimate:
    """Returns the mean over the records whose value is a number."""
    defined = np.isfinite(values)
    return self.mean(np.where(defined, values, 0), defined)

  def difference_of_defined(self, a: np.ndarray, b: np.ndarray) -> Test:
    """Returns mean(a) - mean(b) over records that have numbers for both."""
    defined = np.isfinite(a) & np.isfinite(b)
    return self.difference(
      np.where(defined, a, 0), np.where(defined, b, 0), defined
    )

  def statistic(self, per_group: np.ndarray, function: Statistic) -> Estimate:
    """Estimates a function of sums over records.

    Args:
      per_group: each group's sums, [G, ...], as `per_group()` gives them.
      function: the statistic, of sums with any leading axes.
    """
    value = _one(function, per_group.sum(0))
    resampled = _apply(function, _weighted(self.counts, per_group))
    return Estimate(value, _interval(resampled, per_group))

  def statistic_difference(
    self, a: np.ndarray, b: np.ndarray, function: Statistic
  ) -> Test:
    """Tests whether a function of sums over records differs between two arms.

    Args:
      a: each group's sums in one arm, [G, ...].
      b: the same in the other arm.
      function: the statistic, of sums with any leading axes.
    """
    value = _one(function, a.sum(0)) - _one(function, b.sum(0))
    resampled = _apply(function, _weighted(self.counts, a)) - _apply(
      function, _weighted(self.counts, b)
    )
    moved = _weighted(self.swaps, b - a)
    permuted = _apply(function, a.sum(0) + moved) - _apply(
      function, b.sum(0) - moved
    )
    ci95 = _interval(resampled, np.stack([a, b], axis=-1))
    return Test(value, ci95, _p_value(value, permuted))

  def _sums_and_sizes(
    self, values: np.ndarray, where: np.ndarray | None
  ) -> np.ndarray:
    """Returns each group's sum of values and number of records, [G, 2]."""
    kept = np.ones(len(values), bool) if where is None else where
    return self.per_group(np.stack([np.where(kept, values, 0), kept], axis=-1))


def _ratio(sums_and_sizes: np.ndarray) -> np.ndarray:
  return sums_and_sizes[..., 0] / sums_and_sizes[..., 1]


def _apply(function: Statistic, sums: np.ndarray) -> np.ndarray:
  """Applies a statistic for which empty strata are 0 / 0, NaN, no fault."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.asarray(function(sums), np.float64)


def _one(function: Statistic, sums: np.ndarray) -> float:
  return float(_apply(function, sums[None])[0])


def _weighted(weights: np.ndarray, per_group: np.ndarray) -> np.ndarray:
  """Returns the weighted sums of groups, [R, ...]; exact for whole numbers."""
  flat = per_group.reshape(len(per_group), -1)
  blocks = np.array_split(weights, math.ceil(weights.size / _BLOCK))
  sums = np.concatenate([block.astype(np.float64) @ flat for block in blocks])
  return sums.reshape(len(weights), *per_group.shape[1:])


def _interval(
  resampled: np.ndarray, per_group: np.ndarray
) -> tuple[float, float]:
  """Returns the 2.5% and 97.5% points of the defined resamples."""
  contributing = per_group.reshape(len(per_group), -1).any(axis=1)
  defined = resampled[np.isfinite(resampled)]
  if np.count_nonzero(contributing) < 2 or not defined.size:
    return math.nan, math.nan
  low, high = np.quantile(defined, [0.025, 0.975])
  return float(low), float(high)


def _p_value(value: float, permuted: np.ndarray) -> float:
  """Returns (1 + count) / (1 + R), the observed arrangement being the 1."""
  if not math.isfinite(value):
    return math.nan
  # Ties count, and undefined permutations too, which errs towards large p.
  smaller = np.abs(permuted) < abs(value) - _ROUNDING * max(1, abs(value))
  count = int(np.count_nonzero(~smaller))
  return (1 + count) / (1 + len(permuted))


def _null(value: float) -> float | None:
  return value if math.isfinite(value) else None
