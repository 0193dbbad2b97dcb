# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Curves through scores over numbers of examples, with bootstrap bands.

From six numbers on a saturating power law, top - drop * (n / n_0)^-rate, n_0
being the least number: it has three parameters, and fewer points would fit
whatever they are. Below that a straight line over the logarithm of n.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import scaling

POWER_LAW, TREND = 'saturating power law', 'log-linear trend'
_LEAST_POINTS = 6  # Of a power law.
_RESAMPLES = 500
_GRID = 40  # Points of a band.

# Of a score from 0 to 1: top, drop and rate.
_LOW, _HIGH = (0.0, 0.0, 0.01), (1.0, 1.0, 5.0)


def fit(curve: scaling.Curve, seed: int = 0) -> dict[str, Any]:
  """Fits the curve of an arm by least squares.

  Args:
    curve: its scores; of more than one number of examples.
    seed: of the resamples of groups, each of which is fitted anew.

  Returns:
    `form`, and `parameters` by name with `value` and `ci95`; `residual`, the
    root mean square of what is left; `band`, points with `examples`, `value`
    and `ci95` from the least number to the greatest. Of the power law also
    `at_a_boundary`, the names of parameters that would leave what they can be.
  """
  bootstrap = statistics.Bootstrap(range(curve.groups), _RESAMPLES, seed)
  n = np.array(curve.examples, float)
  everyone = np.ones((1, curve.groups))
  (scores,) = curve.scores(everyone)
  resampled = curve.scores(bootstrap.counts)
  resampled = resampled[np.isfinite(resampled).all(1)]
  power = len(n) >= _LEAST_POINTS
  solve, names = (
    (_power_law, ('top', 'drop', 'rate'))
    if power
    else (_trend, ('at_least', 'per_tenfold'))
  )
  own = solve(n, scores)
  others = np.array([solve(n, each) for each in resampled])
  grid = np.geomspace(n[0], n[-1], _GRID)
  bands = np.array([_values(power, each, grid, n[0]) for each in others])
  middle = _values(power, own, grid, n[0])
  low, high = np.quantile(bands, [0.025, 0.975], axis=0)
  ends = np.quantile(others, [0.025, 0.975], axis=0).T
  left = _values(power, own, n, n[0]) - scores
  found: dict[str, Any] = {
    'form': POWER_LAW if power else TREND,
    'parameters': {
      name: {'value': float(value), 'ci95': [float(a), float(b)]}
      for name, value, (a, b) in zip(names, own, ends, strict=True)
    },
    'residual': float(np.sqrt(np.mean(left * left))),
    'band': [
      {'examples': float(x), 'value': float(y), 'ci95': [float(a), float(b)]}
      for x, y, a, b in zip(grid, middle, low, high, strict=True)
    ],
  }
  if power:
    found['at_a_boundary'] = [
      name
      for name, value, *bounds in zip(names, own, _LOW, _HIGH, strict=True)
      if any(abs(value - bound) < 1e-6 for bound in bounds)
    ]
  return found


def _power_law(n: np.ndarray, scores: np.ndarray) -> np.ndarray:
  """Top, drop and rate."""
  ratio = n / n[0]

  def linear(rate: float) -> tuple[np.ndarray, float]:
    # For a rate the other two are a line, with bounds.
    columns = np.stack([np.ones_like(ratio), -(ratio**-rate)], 1)
    made = scipy.optimize.lsq_linear(columns, scores, (_LOW[:2], _HIGH[:2]))
    return made.x, float(made.cost)

  # One of three parameters is searched for: no start matters. The cost may have
  # more than one valley, so the search begins at the best of many.
  rates = np.geomspace(_LOW[2], _HIGH[2], 25)
  best = int(np.argmin([linear(rate)[1] for rate in rates]))
  around = rates[max(0, best - 1)], rates[min(len(rates) - 1, best + 1)]
  rate = scipy.optimize.minimize_scalar(
    lambda r: linear(r)[1], bounds=around, method='bounded'
  ).x
  if linear(rates[best])[1] <= linear(rate)[1]:
    rate = rates[best]
  return np.array([*linear(rate)[0], rate])


def _trend(n: np.ndarray, scores: np.ndarray) -> np.ndarray:
  """The score at the least number, and what ten times as many add."""
  slope, start = np.polyfit(np.log10(n / n[0]), scores, 1)
  return np.array([start, slope])


def _values(
  power: bool,
  parameters: Sequence[float] | np.ndarray,
  n: np.ndarray,
  n_0: float,
) -> np.ndarray:
  """The scores that a fit has at numbers of examples."""
  if power:
    top, drop, rate = parameters
    return top - drop * (n / n_0) ** -rate
  start, slope = parameters
  return start + slope * np.log10(n / n_0)
