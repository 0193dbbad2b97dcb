# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How many more examples one arm needs than another for the same score.

Scores are measured at a few numbers of training examples. Between them they are
interpolated on the logarithm of the number, after isotonic regression: more
examples are taken not to harm. The ratio of the numbers at which two arms have
the same score is averaged, as a logarithm, over all scores that both reach; if
one curve is the other, shifted on the logarithmic axis, it is that shift.

Letters: G groups (base persons, or features), S seeds, N numbers of examples,
R resamples, C columns of a metric's sums.
"""

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any

import numpy as np
import scipy

from selfexplain_jax import errors
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import sums as sums_lib

_LEVELS = 200  # Scores at which two curves are compared.


@dataclasses.dataclass(frozen=True)
class Curve:
  """The scores of one arm in one metric.

  Attributes:
    metric: a metric of `studies.sums`.
    examples: how many each explainer learnt from, ascending, [N].
    sums: of each number, f64[G, S, C]; numbers may have different seeds.

  Raises:
    errors.InputError: if the numbers do not ascend, or are not one for each.
  """

  metric: str
  examples: tuple[int, ...]
  sums: tuple[np.ndarray, ...]

  def __post_init__(self):
    ascending = list(self.examples) == sorted(set(self.examples))
    if (
      not ascending
      or not self.examples
      or self.examples[0] < 1
      or len(self.sums) != len(self.examples)
    ):
      raise errors.InputError(
        f'curve over {self.examples} examples with {len(self.sums)} scores: '
        'expected ascending numbers above 0, and a score for each'
      )

  @property
  def groups(self) -> int:
    """How many groups its questions are about."""
    return len(self.sums[0])

  def points(self, bootstrap: statistics.Bootstrap) -> list[dict[str, Any]]:
    """Returns `examples`, `value` and `ci95` of each score."""
    figure = sums_lib.over_seeds(self.metric)
    return [
      {'examples': n, **bootstrap.statistic(sums, figure).to_json()}
      for n, sums in zip(self.examples, self.sums, strict=True)
    ]

  def scores(self, counts_RxG: np.ndarray) -> np.ndarray:
    """Returns the scores of resampled groups, f64[R, N]."""
    figure = sums_lib.over_seeds(self.metric)
    with np.errstate(divide='ignore', invalid='ignore'):
      columns = [
        figure(np.tensordot(counts_RxG.astype(np.float64), sums, 1))
        for sums in self.sums
      ]
    return np.stack(columns, axis=-1)


def examples_ratio(
  reference: Curve, other: Curve, resamples: int = 10_000, seed: int = 0
) -> dict[str, Any]:
  """Returns how many times as many examples the other arm needs.

  Args:
    reference: the arm whose scores are to be reached.
    other: the arm compared with it, on the same groups.
    resamples: of the groups, the same for both arms.
    seed: of the resamples.

  Returns:
    `value` and its bootstrap interval `ci95`. Where the curves have no score in
    common the value is None, and `at_least` or `at_most` says what is known; so
    it is, with neither, where one curve is flat within the other's scores.
    An end of the interval is None where resamples leave it unbounded.

  Raises:
    errors.InputError: if the curves are of different metrics or groups.
  """
  if reference.metric != other.metric or reference.groups != other.groups:
    raise errors.InputError(
      f'curves of {reference.metric} over {reference.groups} groups and of '
      f'{other.metric} over {other.groups}: expected the same of both'
    )
  x_a, x_b = np.log(reference.examples), np.log(other.examples)
  counts = statistics.Bootstrap(range(reference.groups), resamples, seed).counts
  everyone = np.ones((1, reference.groups))

  def shifts(weights_RxG: np.ndarray) -> list[float]:
    pairs = zip(
      reference.scores(weights_RxG), other.scores(weights_RxG), strict=True
    )
    return [_shift(x_a, a, x_b, b) for a, b in pairs]

  (found,) = shifts(everyone)
  result: dict[str, Any] = {
    'value': math.exp(found) if math.isfinite(found) else None,
    'ci95': _interval(shifts(counts)),
  }
  if found == math.inf:
    result['at_least'] = math.exp(x_b[-1] - x_a[0])
  elif found == -math.inf:
    result['at_most'] = math.exp(x_b[0] - x_a[-1])
  return result


def _shift(
  x_a: np.ndarray, scores_a: np.ndarray, x_b: np.ndarray, scores_b: np.ndarray
) -> float:
  """The mean of x_b - x_a at equal scores.

  Infinite where b stays below all of a, minus infinity where it is above. NaN
  where scores are undefined, and where one curve does not rise at a score that
  the other has too: it has that score at any number of examples.
  """
  if not (np.isfinite(scores_a).all() and np.isfinite(scores_b).all()):
    return math.nan
  a, b = _rising(scores_a), _rising(scores_b)
  low, high = max(a[0], b[0]), min(a[-1], b[-1])
  if high <= low:
    below, above = b[-1] <= a[0], b[0] >= a[-1]
    if below == above:
      return math.nan
    return math.inf if below else -math.inf
  levels = low + (high - low) * (np.arange(_LEVELS) + 0.5) / _LEVELS
  gap = np.interp(levels, b, x_b) - np.interp(levels, a, x_a)
  return float(gap.mean())


def _rising(scores: np.ndarray) -> np.ndarray:
  return scipy.optimize.isotonic_regression(scores).x


def _interval(shifts: Sequence[float]) -> list[float | None]:
  """The 2.5% and 97.5% points, of which either may be unbounded."""
  defined = np.sort([shift for shift in shifts if not math.isnan(shift)])
  if not len(defined):
    return [None, None]
  last = len(defined) - 1
  rounded: tuple[Callable[[float], int], ...] = (math.floor, math.ceil)
  # Of infinities no mean can be taken: so the next one outwards.
  ends = [
    defined[outwards(share * last)]
    for share, outwards in zip((0.025, 0.975), rounded, strict=True)
  ]
  return [math.exp(end) if math.isfinite(end) else None for end in ends]
