# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The report of an evaluation: one page that needs nothing beside it."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from selfexplain_jax import files
from selfexplain_jax.reports import change_page
from selfexplain_jax.reports import feature_page
from selfexplain_jax.reports import page
from selfexplain_jax.reports import wording

NAME = 'report.html'


def write(
  directory: files.PathLike,
  metrics: Mapping[str, Any],
  tables: Mapping[str, pa.Table],
) -> None:
  """Writes DIRECTORY/report.html, the same bytes for the same input.

  Args:
    directory: where to.
    metrics: the content of metrics.json.
    tables: `predictions`, a row for each arm and record; of features also
      `exemplars`.

  Raises:
    errors.InputError: if predictions lack a column, or have no record of an
      arm in metrics.
  """
  files.write_text(files.path(directory) / NAME, render(metrics, tables))


def render(metrics: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> str:
  """Returns the page that `write` writes."""
  if 'exemplars' in tables:
    return feature_page.render(
      metrics, tables['predictions'], tables['exemplars']
    )
  return change_page.render(metrics, tables['predictions'])


def write_index(
  directory: files.PathLike, pages: Mapping[str, Mapping[str, Any]]
) -> None:
  """Writes DIRECTORY/report.html, which leads to the pages of several tasks.

  A page that says the same already is left as it is.

  Args:
    directory: where to.
    pages: figures of each page, by its name relative to the directory.
  """
  entries = [
    {
      'link': link,
      'task': figures['task'],
      'title': wording.TITLES[figures['task']],
      'asked': wording.asked(figures),
      'gaps': [
        {'title': title, 'test': figures['tests'][name]['exact_match']}
        for name, (title, *_) in wording.GAPS.items()
        if name in figures.get('tests', {})
      ],
      'self': figures.get('rows', {}).get('self', {}).get('exact_match'),
    }
    for link, figures in pages.items()
  ]
  _write(directory, page.template('index.html.j2').render(entries=entries))


def write_runs(
  directory: files.PathLike, pages: Mapping[str, Mapping[str, Any]]
) -> None:
  """Writes DIRECTORY/report.html, a table of many evaluations.

  Args:
    directory: where to.
    pages: figures of each page, by its name relative to the directory.
  """
  tasks = dict.fromkeys(figures['task'] for figures in pages.values())
  parts = [
    {
      'title': wording.TITLES[task],
      'runs': [
        {
          'link': link,
          'name': link.rpartition('/')[0],
          'figures': figures,
          'self': figures.get('rows', {}).get('self', {}).get('exact_match'),
          'gaps': [
            figures.get('tests', {}).get(name, {}).get('exact_match')
            for name in wording.GAPS
          ],
        }
        for link, figures in pages.items()
        if figures['task'] == task
      ],
    }
    for task in tasks
  ]
  titles = [title for title, *_ in wording.GAPS.values()]
  text = page.template('runs.html.j2').render(parts=parts, gaps=titles)
  _write(directory, text)


def _write(directory: files.PathLike, text: str) -> None:
  """Writes the page, unless it says the same already."""
  place = files.path(directory) / NAME
  if not place.exists() or place.read_text() != text:
    files.write_text(place, text)
