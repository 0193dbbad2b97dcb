# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The page of an evaluation of claims about changed outputs."""

from collections.abc import Mapping, Sequence
import re
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.fidelity import metrics as metrics_lib
from selfexplain_jax.reports import examples
from selfexplain_jax.reports import page
from selfexplain_jax.reports import plots
from selfexplain_jax.reports import wording

# Claims that are there for readers without JavaScript.
_STATIC_ROWS = 50

# Measures of which gaps are tested.
_TESTED = ('exact_match', 'exact_match_changed', 'macro_f1')

# Measures whose questions are among the claims, and which of these they are.
_LINKS = {
  'exact_match': dict(right='true'),
  'exact_match_changed': dict(right='true', changed='true'),
  'exact_match_unchanged': dict(right='true', changed='false'),
  'claimed_changed_rate': dict(said='changed'),
}

# Arms whose claims are shown beside those of the main arm.
_BESIDE = ('shuffled_vector', 'stranger')

_COLUMNS = (
  'arm',
  'record',
  'group',
  'place',
  'treatment',
  'text',
  'output',
  'claimed',
  'claimed_content',
  'changed',
  'clean_token',
  'treated_token',
  'exact',
  'content',
)


def render(metrics: Mapping[str, Any], predictions: pa.Table) -> str:
  """Returns the page.

  Args:
    metrics: the content of metrics.json.
    predictions: a row for each arm and record.

  Raises:
    errors.InputError: if predictions lack a column, or have no record of an
      arm in metrics.
  """
  task = wording.TASKS[metrics['task']]
  said = page.by_arm(
    predictions, metrics['rows'], {*_COLUMNS, *examples.COLUMNS[task.name]}
  )
  arms = list(said)
  # Without explainers the first control stands in for `self`.
  main = arms[0]
  table = said[main]
  places = _in_text_order(table, task)
  people = len(set(table['group'].to_pylist()))
  beside = [arm for arm in _BESIDE if arm in arms and arm != main]
  return page.template('changes.html.j2').render(
    task=task,
    metrics=metrics,
    arms=arms,
    main=main,
    people=people,
    asked=wording.questions(metrics['n'], people, metrics['split']),
    gaps=_gaps(metrics),
    exact_match_plot=page.exact_match_plot(metrics['rows'], arms),
    maps=_maps(said, main, places, task),
    places=places,
    treatments=_by_number(table['treatment'].to_pylist()),
    claims=_claims(said, main, beside, metrics['seed'], task),
    beside=beside,
    static_rows=_STATIC_ROWS,
    definitions=wording.arms(metrics['task']),
    measures=wording.METRICS,
    tested=_TESTED,
    links={m: page.link('claims', **fields) for m, fields in _LINKS.items()},
    verdict_links=[
      [
        page.link('claims', changed=changed, said=said)
        for said in ('unchanged', 'changed', 'neither')
      ]
      for changed in ('false', 'true')
    ],
  )


def _in_text_order(table: pa.Table, task: wording.Task) -> list[str]:
  """Returns the places in the order in which they come in texts."""
  members: dict[str, list[float]] = {}
  at = table[task.position].to_pylist()
  for label, value in zip(table['place'].to_pylist(), at, strict=True):
    members.setdefault(label, []).append(value)
  return sorted(members, key=lambda label: (np.mean(members[label]), label))


def _by_number(labels: Sequence[str]) -> list[str]:
  """Returns the distinct labels by the numbers in them, and then by name."""

  def key(label: str) -> tuple[list[int], str]:
    return [int(n) for n in re.findall(r'\d+', label)], label

  return sorted(set(labels), key=key)


def _gaps(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the headline: the tests that are there, in words."""
  gaps = []
  for name, (title, *_) in wording.GAPS.items():
    if name in metrics['tests']:
      test = metrics['tests'][name]['exact_match']
      gaps.append(
        {
          'title': title,
          'test': test,
          'verdict': metrics['tests'][name]['macro_f1'],
          'arms': name.split('_minus_'),
          'conclusion': wording.conclusion(name, test),
        }
      )
  return gaps


def _maps(
  said: Mapping[str, pa.Table],
  main: str,
  places: Sequence[str],
  task: wording.Task,
) -> list[dict[str, str]]:
  """Draws what happens, and how often it is told, by cell."""
  treatments = _by_number(said[main]['treatment'].to_pylist())
  own = _cells(said[main], places, treatments)
  name = wording.arm(main)
  drawn: list[tuple[str, str, str, plots.Table]] = [
    (
      'exact',
      f'Exact match of {name}',
      'How often the whole claim was right.',
      own['exact_match'],
    ),
    (
      'changed',
      'How often the output changed',
      'What re-running the target showed.',
      own['changed_rate'],
    ),
  ]
  if main == 'self' and 'shuffled_vector' in said:
    shuffled = _cells(said['shuffled_vector'], places, treatments)
    drawn.append(
      (
        'gain',
        'Self minus shuffled vector',
        'Exact match that the real vector adds, in points.',
        _minus(own['exact_match'], shuffled['exact_match']),
      )
    )
  return [
    {
      'title': title,
      'caption': caption,
      'svg': plots.heat_map(
        f'map_{short}',
        f'{title}, by {task.places} and {task.treatments}',
        [wording.plain(place) for place in places],
        [kind.replace(' to ', '–') for kind in treatments],
        values,
        own['n'],
        title=task.treatments,
        difference=short == 'gain',
        links=[
          [
            page.link('claims', kind=wording.plain(place), block=kind)
            for kind in treatments
          ]
          for place in places
        ],
      ),
    }
    for short, title, caption, values in drawn
  ]


def _cells(
  table: pa.Table, places: Sequence[str], treatments: Sequence[str]
) -> dict[str, list]:
  """Returns the tables of `metrics.by_cell`, ordered as asked."""
  column = {
    name: table[name].to_numpy()
    for name in ('changed', 'claimed', 'exact', 'content', 'group')
  }
  tables = metrics_lib.by_cell(
    metrics_lib.Outcomes(**column),
    table['place'].to_pylist(),
    table['treatment'].to_pylist(),
  )
  rows = [tables['places'].index(place) for place in places]
  columns = [tables['treatments'].index(kind) for kind in treatments]
  return {
    name: [[tables[name][row][column] for column in columns] for row in rows]
    for name in ('n', 'exact_match', 'changed_rate')
  }


def _minus(a: plots.Table, b: plots.Table) -> plots.Table:
  return [
    [
      None if x is None or y is None else x - y
      for x, y in zip(*rows, strict=True)
    ]
    for rows in zip(a, b, strict=True)
  ]


def _claims(
  said: Mapping[str, pa.Table],
  main: str,
  beside: Sequence[str],
  seed: int,
  task: wording.Task,
) -> list[dict[str, Any]]:
  """Returns the claims that are shown, each with those of other arms."""
  others = {
    arm: {row['record']: row for row in said[arm].to_pylist()} for arm in beside
  }
  return [
    examples.entry(
      row, {arm: others[arm][row['record']] for arm in beside}, task
    )
    for row in examples.choose(said[main].to_pylist(), seed)
  ]
