# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The page of a scaling study."""

from collections.abc import Mapping, Sequence
from typing import Any

from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import page
from selfexplain_jax.reports import wording


def render(
  title: str,
  about: Sequence[str],
  plot: str,
  summary: Mapping[str, Any],
  metrics: Sequence[str],
  runs: Sequence[Mapping[str, Any]],
  scores: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
  kept: str = 'runs',
) -> str:
  """Returns the page, the same bytes for the same input.

  Args:
    title: the question of the study.
    about: paragraphs on what was done.
    plot: an svg element.
    summary: of each metric `curves`, `fits` and `ratios`; and `undone`.
    metrics: which, the first one first.
    runs: the table of runs.
    scores: tables by title: by row and column what stands there.
    kept: name of the files that have the table of runs, too.
  """
  return page.template('study.html.j2').render(
    title=title,
    about=[' '.join(p.replace('`', '').split()) for p in about],
    plot=plot,
    summary=summary,
    metrics=[
      {
        'title': wording.plain(metric),
        'fits': {
          arm: {
            **{k: v for k, v in fit.items() if k != 'band'},
            'told': _fit(fit),
          }
          for arm, fit in summary[metric]['fits'].items()
        },
        'ratios': {
          arm: numbers.times(ratio)
          for arm, ratio in summary[metric]['ratios'].items()
        },
      }
      for metric in metrics
    ],
    scores=scores or {},
    kept=kept,
    columns=list(runs[0]) if runs else [],
    runs=[
      {
        name: f'{value:.3f}'
        if isinstance(value, float)
        else '–'
        if value is None
        else value
        for name, value in run.items()
      }
      for run in runs
    ],
  )


def scores(
  block: Mapping[str, Any], metrics: Sequence[str]
) -> dict[str, dict[str, str]]:
  """Returns the table of what `studies.matrix.block` compared.

  Args:
    block: arms of which each but the first is tested against the first.
    metrics: which; of the first one differences are told, too.

  Returns:
    By arm and column, figures with their 95% intervals.
  """
  first, *_ = block['rows']
  compared = any(f'_minus_{first}' in name for name in block['tests'])
  table: dict[str, dict[str, str]] = {}
  for arm, figures in block['rows'].items():
    table[arm] = cells = {
      wording.plain(metric): _estimate(figures[metric]) for metric in metrics
    }
    columns = {'minus shuffled vectors': f'{arm}_minus_shuffled'}
    if compared:
      columns[f'minus {first}'] = f'{arm}_minus_{first}'
    for column, name in columns.items():
      test = block['tests'].get(name, {}).get(metrics[0])
      cells[f'{wording.plain(metrics[0])} {column}'] = _difference(test)
  return table


def _difference(test: Mapping[str, Any] | None) -> str:
  """A difference, and how sure it is: of few seeds, or unlike ones, no p."""
  if not test:
    return ''
  if test['same_sign']:
    return f'{_estimate(test, "+")}, {numbers.p_value(test["p"])}'
  seeds = ', '.join(
    '–' if gap is None else f'{gap:+.3f}' for gap in test['by_seed'].values()
  )
  return f'{_estimate(test, "+")}; by seed {seeds}'


def _estimate(estimate: Mapping[str, Any], sign: str = '') -> str:
  """A value with its interval, in thousandths."""
  if estimate['value'] is None:
    return '–'
  ends = numbers.bounds(estimate)
  told = f'{estimate["value"]:{sign}.3f}'
  return told if ends is None else f'{told} [{ends[0]:.3f}, {ends[1]:.3f}]'


def _fit(fit: Mapping[str, Any]) -> str:
  """The parameters of a fit, in words."""
  told = ', '.join(
    f'{wording.plain(name)} {p["value"]:.2f} [{p["ci95"][0]:.2f}, '
    f'{p["ci95"][1]:.2f}]'
    for name, p in fit['parameters'].items()
  )
  bounded = fit.get('at_a_boundary')
  return told + (
    f'; {" and ".join(bounded)} at the end of what it can be' if bounded else ''
  )
