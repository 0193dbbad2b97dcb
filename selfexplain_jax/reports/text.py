# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The figures of an evaluation as plain text, for a terminal."""

from collections.abc import Mapping
from typing import Any

from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import wording

_SCORES = {
  'exact_match': 'exact match',
  'exact_match_changed': 'where changed',
  'macro_f1': 'macro F1',
  'content_match': 'content',
}
_DESCRIPTION_SCORES = {
  'exact_match': 'exact label',
  'simulator': 'simulator',
  'detection': 'detection',
  'similarity': 'similarity',
}
# Parts of an evaluation whose rows and tests stand under names of their own.
_PARTS = {
  '': 'All questions:',
  'balanced_': 'Balanced cells, as many outputs changed as not:',
  'known_': 'About facts that the target was taught:',
  'unknown_': 'About facts that it was not taught:',
  'new_label_': 'Features whose label is not in training:',
  'activation_': 'Activations in place of features:',
  'difference_': 'Differences of activations:',
}

# Columns of a terminal: 114 for scores, 120 for gaps.
_NAME, _SCORE, _GAP = 18, 24, 34


def table(figures: Mapping[str, Any]) -> str:
  """Renders metrics.json: a line for each arm, and for each tested gap."""
  scores = _SCORES
  if figures['task'] == 'features':
    known = wording.description_metrics(figures)
    scores = {m: s for m, s in _DESCRIPTION_SCORES.items() if m in known}
  lines = [
    wording.asked(figures),
    '',
    _line('arm', list(scores.values()), _SCORE),
  ]
  rows = figures.get('rows', {})  # None where no feature is ever active.
  for arm in wording.in_order(rows):
    found = rows[arm]
    lines.append(
      _line(arm, [numbers.estimate(found[m]) for m in scores], _SCORE)
    )
  for prefix, title in _PARTS.items():
    if figures.get(f'{prefix}tests'):
      lines += ['', title, *_gaps(figures[f'{prefix}tests'], scores)]
  return '\n'.join(lines)


def _gaps(tests: Mapping[str, Any], scores: Mapping[str, str]) -> list[str]:
  measures = [m for m in scores if m in next(iter(tests.values()))]
  lines = [_line('self minus', [scores[m] for m in measures], _GAP)]
  others = [name.removeprefix('self_minus_') for name in tests]
  for other in wording.in_order(others):
    tested = tests[f'self_minus_{other}']
    lines.append(_line(other, [_test(tested[m]) for m in measures], _GAP))
  return lines


def _line(name: str, cells: list[str], width: int) -> str:
  return f'{name:<{_NAME}}' + ''.join(f'{cell:>{width}}' for cell in cells)


def _test(test: Mapping[str, Any]) -> str:
  shown, p = numbers.estimate(test, sign='+'), test['p']
  return shown if p is None else f'{shown} p={p:.4f}'
