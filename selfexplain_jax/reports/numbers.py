# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How reports write figures: shares, differences, intervals and tests."""

from collections.abc import Mapping
from typing import Any


def bounds(estimate: Mapping[str, Any]) -> tuple[float, float] | None:
  """Returns the interval of an estimate, or None where it has none."""
  low, high = estimate.get('ci95') or (None, None)
  return None if low is None or high is None else (low, high)


def percent(value: float | None) -> str:
  """Writes a share as `41.2%`, and none as a dash."""
  return '–' if value is None else f'{100 * value:.1f}%'


def signed(value: float | None) -> str:
  """Writes a difference of shares in points, with a true minus: `−4.1`."""
  if value is None:
    return '–'
  text = f'{100 * value:+.1f}'.replace('-', '−')
  return '0.0' if text in ('+0.0', '−0.0') else text


def interval(estimate: Mapping[str, Any], difference: bool = False) -> str:
  """Writes the interval of an estimate, `36.0 to 46.1`, or nothing."""
  ends = bounds(estimate)
  if ends is None:
    return ''
  low, high = (
    signed(end) if difference else f'{100 * end:.1f}' for end in ends
  )
  return f'{low} to {high}'


def times(ratio: Mapping[str, Any]) -> str:
  """Writes how many times as many: `2.50 times as many [2.01, 3.20]`.

  Args:
    ratio: `value` and `ci95`, and where that is None `at_least` or `at_most`.
  """
  ends = ['unbounded' if x is None else f'{x:.2f}' for x in ratio['ci95']]
  value = 'undefined'
  if ratio['value'] is not None:
    value = f'{ratio["value"]:.2f} times as many'
  for name in ('at_least', 'at_most'):
    if name in ratio:
      value = f'{name.replace("_", " ")} {ratio[name]:.2f} times as many'
  return f'{value} [{ends[0]}, {ends[1]}]'


def p_value(p: float | None) -> str:
  """Writes a p-value with its sign: `p = 0.012`, `p < 0.001`."""
  if p is None:
    return 'p unknown'
  return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


def estimate(given: Mapping[str, Any], sign: str = '') -> str:
  """Writes a value with its interval, `0.512 [0.461, 0.563]`.

  Args:
    given: `value` and `ci95`, without an interval where all is about one group.
    sign: `+` for a difference.
  """
  value, ends = given['value'], bounds(given)
  if value is None:
    return 'undefined'
  shown = f'{value:{sign}.3f}'
  return shown if ends is None else f'{shown} [{ends[0]:.3f}, {ends[1]:.3f}]'
