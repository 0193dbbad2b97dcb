# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The page of evaluations side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from selfexplain_jax import files
from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import page
from selfexplain_jax.reports import plots
from selfexplain_jax.reports import wording

NAME = 'comparison.html'
# Records on which evaluations differ that the page shows.
_SHOWN = 400

_DESCRIPTIONS = {
  name: wording.DESCRIPTION_METRICS[name]
  for name in ('exact_match', 'simulator', 'detection', 'similarity')
}


def write(
  directory: files.PathLike,
  figures: Mapping[str, Any],
  differing: Sequence[Mapping[str, Any]],
) -> None:
  """Writes DIRECTORY/comparison.html, the same bytes for the same input.

  Args:
    directory: where to.
    figures: of `pairing.compare`.
    differing: records on which evaluations differ, of the same.
  """
  text = render(figures, differing)
  files.write_text(files.path(directory) / NAME, text)


def render(
  figures: Mapping[str, Any], differing: Sequence[Mapping[str, Any]]
) -> str:
  """Returns the page that `write` writes."""
  names, task = figures['evaluations'], figures['task']
  known = _DESCRIPTIONS if task == 'features' else wording.METRICS
  measures = {m: known[m] for m in known if m in figures['rows'][names[0]]}
  estimates = [figures['rows'][name]['exact_match'] for name in names]
  return page.template('comparison.html.j2').render(
    title=wording.TITLES[task],
    figures=figures,
    names=names,
    measures=measures,
    tested=[m for m in measures if m in next(iter(figures['tests'].values()))],
    plot=plots.whiskers(
      'exact_match',
      'Exact match of every evaluation: '
      + ', '.join(
        f'{name} {numbers.percent(e["value"])}'
        for name, e in zip(names, estimates, strict=True)
      ),
      names,
      estimates,
    ),
    total=len(differing),
    differing=[_entry(row, task) for row in differing[:_SHOWN]],
  )


def _entry(row: Mapping[str, Any], task: str) -> dict[str, Any]:
  """What is shown of a record."""
  if task == 'features':
    where = f'layer {row["layer"]}, {row["source"]}'
    return {**row, 'asked': where, 'happened': row['label']}
  where = f'{wording.plain(row["place"])}, {row["treatment"]}'
  return {
    **row,
    'asked': f'{row["text"]} ({where})',
    'happened': row['expected'],
  }


def text(figures: Mapping[str, Any]) -> str:
  """The figures as plain text, for a terminal."""
  names = figures['evaluations']
  width = max(map(len, names)) + 2
  measures = [
    m
    for m in ('exact_match', 'exact_match_changed', 'macro_f1', *_DESCRIPTIONS)
    if m in figures['rows'][names[0]]
  ]
  measures = list(dict.fromkeys(measures))
  lines = [
    f'{figures["task"]}: {figures["n"]} records, {figures["groups"]} groups; '
    f'{figures["left_out"]} left out that not all scored',
    f'{"":<{width}}' + ''.join(f'{wording.plain(m):>26}' for m in measures),
  ]
  for name in names:
    row = figures['rows'][name]
    lines.append(
      f'{name:<{width}}'
      + ''.join(f'{numbers.estimate(row[m]):>26}' for m in measures)
    )
  for name, tests in figures['tests'].items():
    lines.append(f'{names[0]} minus {name}:')
    lines += [
      f'  {wording.plain(m)} {numbers.estimate(test, "+")}, p = {test["p"]:.4f}'
      for m, test in tests.items()
      if test['p'] is not None
    ]
  return '\n'.join(lines)
