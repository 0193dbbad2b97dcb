# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Curves through scores over numbers of examples, with bootstrap bands.

From six numbers on a saturating power law, top - drop * (n / n_0)^-rate, n_0
being the least number: it has three parameters, and fewer points would fit
whatever they are. Below that a straight line over the logarithm of n.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import scaling

POWER_LAW, TREND = 'saturating power law', 'log-linear trend'
_LEAST_POINTS = 6  # Of a power law.
_RESAMPLES = 500
_GRID = 40  # Points of a band.
_RATES = 600  # That are tried, about 1% apart.

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
  scores = curve.scores(everyone)
  resampled = curve.scores(bootstrap.counts)
  resampled = resampled[np.isfinite(resampled).all(1)]
  power = len(n) >= _LEAST_POINTS
  solve, names = (
    (_power_law, ('top', 'drop', 'rate'))
    if power
    else (_trend, ('at_least', 'per_tenfold'))
  )
  (own,) = solve(n, scores)
  others = solve(n, resampled)
  grid = np.geomspace(n[0], n[-1], _GRID)
  bands = np.array([_values(power, each, grid, n[0]) for each in others])
  middle = _values(power, own, grid, n[0])
  low, high = np.quantile(bands, [0.025, 0.975], axis=0)
  ends = np.quantile(others, [0.025, 0.975], axis=0).T
  left = _values(power, own, n, n[0]) - scores[0]
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


def _power_law(n: np.ndarray, scores_RxN: np.ndarray) -> np.ndarray:
  """Top, drop and rate of each row of scores, [R, 3].

  One of the three is searched for, on a grid; for each rate the other two are
  the best of a line within bounds, which is inside or on an edge.
  """
  rates = np.geomspace(_LOW[2], _HIGH[2], _RATES)
  x_KxN = -((n / n[0]) ** -rates[:, None])
  x_mean, y_mean = x_KxN.mean(1), scores_RxN.mean(1)[:, None]
  centred = x_KxN - x_mean[:, None]
  slope = (scores_RxN @ centred.T) / np.square(centred).sum(1)
  candidates = [(y_mean - slope * x_mean, slope)]
  for drop in (_LOW[1], _HIGH[1]):
    candidates.append((y_mean - drop * x_mean, np.full_like(slope, drop)))
  for top in (_LOW[0], _HIGH[0]):
    drop = (scores_RxN - top) @ x_KxN.T / np.square(x_KxN).sum(1)
    candidates.append((np.full_like(slope, top), drop))
  best = np.full(len(scores_RxN), np.inf)
  found = np.zeros((len(scores_RxN), 3))
  rows = np.arange(len(scores_RxN))
  for number, (top, drop) in enumerate(candidates):
    if number:  # On an edge the other one stops at its own ends.
      top, drop = np.clip(top, *_ends(0)), np.clip(drop, *_ends(1))
    left = top[..., None] + drop[..., None] * x_KxN - scores_RxN[:, None]
    cost = np.square(left).sum(-1)
    inside = (_LOW[0] <= top) & (top <= _HIGH[0])
    inside &= (_LOW[1] <= drop) & (drop <= _HIGH[1])
    cost = np.where(inside, cost, np.inf)
    at = cost.argmin(1)
    better = cost[rows, at] < best
    made = np.stack([top[rows, at], drop[rows, at], rates[at]], 1)
    found[better], best[better] = made[better], cost[rows, at][better]
  return found


def _ends(parameter: int) -> tuple[float, float]:
  return _LOW[parameter], _HIGH[parameter]


def _trend(n: np.ndarray, scores_RxN: np.ndarray) -> np.ndarray:
  """The score at the least number, and what ten times as many add, [R, 2]."""
  slope, start = np.polyfit(np.log10(n / n[0]), scores_RxN.T, 1)
  return np.stack([start, slope], 1)


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
