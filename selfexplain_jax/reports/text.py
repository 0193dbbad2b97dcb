# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The figures of an evaluation as plain text, for a terminal."""

from typing import Any

_COLUMNS = {
  'exact_match': 'exact match',
  'exact_match_changed': 'where changed',
  'macro_f1': 'macro F1',
  'content_match': 'content',
}


def table(figures: dict[str, Any]) -> str:
  """Renders metrics.json: a line for each arm, and for each tested gap."""
  lines = [
    f'{figures["n"]} questions about {figures["groups"]} people of split '
    f'{figures["split"]}, never seen in explainer training',
    '',
    f'{"arm":<20}' + ''.join(f'{name:>24}' for name in _COLUMNS.values()),
  ]
  for arm, scores in figures['rows'].items():
    cells = (_estimate(scores[metric]) for metric in _COLUMNS)
    lines.append(f'{arm:<20}' + ''.join(f'{cell:>24}' for cell in cells))
  lines.append('')
  for name, tested in figures['tests'].items():
    gaps = ', '.join(
      f'{_COLUMNS[metric]} {_estimate(tested[metric], sign="+")} '
      f'p = {_p(tested[metric]["p"])}'
      for metric in ('exact_match', 'macro_f1')
    )
    lines.append(f'{name.replace("_minus_", " minus "):<32} {gaps}')
  return '\n'.join(lines)


def _estimate(estimate: dict[str, Any], sign: str = '') -> str:
  value, interval = estimate['value'], estimate['ci95']
  if value is None:
    return 'undefined'
  shown = f'{value:{sign}.3f}'
  if None in interval:  # All of it is about a single person.
    return shown
  return f'{shown} [{interval[0]:.3f}, {interval[1]:.3f}]'


def _p(value: float | None) -> str:
  return 'undefined' if value is None else f'{value:.4f}'
