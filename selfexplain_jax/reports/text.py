# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The figures of an evaluation as plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from selfexplain_jax.reports import wording

_SCORES = {
  'exact_match': 'exact match',
  'exact_match_changed': 'where changed',
  'macro_f1': 'macro F1',
  'content_match': 'content',
}
_GAPS = ('exact_match', 'exact_match_changed', 'macro_f1')

# Columns of a terminal: 114 for scores, 120 for gaps.
_NAME, _SCORE, _GAP = 18, 24, 34


def table(figures: Mapping[str, Any]) -> str:
  """Renders metrics.json: a line for each arm, and for each tested gap."""
  n, groups, split = figures['n'], figures['groups'], figures['split']
  lines = [
    wording.questions(n, groups, split),
    '',
    _line('arm', list(_SCORES.values()), _SCORE),
  ]
  for arm in wording.in_order(figures['rows']):
    scores = figures['rows'][arm]
    cells = [_estimate(scores[metric]) for metric in _SCORES]
    lines.append(_line(arm, cells, _SCORE))
  for title, key in (
    ('All questions:', 'tests'),
    ('Balanced cells, as many outputs changed as not:', 'balanced_tests'),
  ):
    if figures.get(key):
      lines += ['', title, *_gaps(figures[key])]
  return '\n'.join(lines)


def _gaps(tests: Mapping[str, Any]) -> list[str]:
  names = [_SCORES[metric] for metric in _GAPS]
  lines = [_line('self minus', names, _GAP)]
  others = [name.removeprefix('self_minus_') for name in tests]
  for other in wording.in_order(others):
    tested = tests[f'self_minus_{other}']
    lines.append(_line(other, [_test(tested[gap]) for gap in _GAPS], _GAP))
  return lines


def _line(name: str, cells: list[str], width: int) -> str:
  return f'{name:<{_NAME}}' + ''.join(f'{cell:>{width}}' for cell in cells)


def _estimate(estimate: Mapping[str, Any], sign: str = '') -> str:
  value, ends = estimate['value'], wording.bounds(estimate)
  if value is None:
    return 'undefined'
  shown = f'{value:{sign}.3f}'
  if ends is None:  # All of it is about a single person.
    return shown
  return f'{shown} [{ends[0]:.3f}, {ends[1]:.3f}]'


def _test(test: Mapping[str, Any]) -> str:
  shown, p = _estimate(test, sign='+'), test['p']
  return shown if p is None else f'{shown} p={p:.4f}'
