# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The report of an evaluation: one page that needs nothing beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import metrics as metrics_lib
from selfexplain_jax.reports import examples
from selfexplain_jax.reports import plots
from selfexplain_jax.reports import wording

NAME = 'report.html'

# Claims that are there for readers without JavaScript.
_STATIC_ROWS = 50

# Measures of which gaps are tested.
_TESTED = ('exact_match', 'exact_match_changed', 'macro_f1')

# Arms whose claims are shown beside those of the main arm.
_BESIDE = ('shuffled_vector', 'stranger')

_COLUMNS = frozenset(
  (
    'arm',
    'record',
    'group',
    'position_kind',
    'position',
    'first_layer',
    'last_layer',
    'block',
    'text',
    'token_text',
    'counterfactual_text',
    'output',
    'claimed',
    'claimed_content',
    'changed',
    'clean_token',
    'patched_token',
    'exact',
    'content',
  )
)


def write(
  directory: files.PathLike, metrics: Mapping[str, Any], predictions: pa.Table
) -> None:
  """Writes DIRECTORY/report.html, the same bytes for the same input.

  Args:
    directory: where to.
    metrics: the content of metrics.json.
    predictions: a row for each arm and record; the content of
      predictions.parquet.

  Raises:
    errors.InputError: if predictions lack a column, or have no record of an
      arm in metrics.
  """
  files.write_text(files.path(directory) / NAME, render(metrics, predictions))


def render(metrics: Mapping[str, Any], predictions: pa.Table) -> str:
  """Returns the page that `write` writes."""
  missing = sorted(_COLUMNS.difference(predictions.column_names))
  if missing:
    raise errors.InputError(
      f'predictions: expected columns {", ".join(missing)}, which are missing'
    )
  arms = wording.in_order(metrics['rows'])
  said = {arm: _of_arm(predictions, arm) for arm in arms}
  for arm, table in said.items():
    if not table.num_rows:
      raise errors.InputError(f'predictions: expected rows of arm {arm!r}')
  # Without explainers the first control stands in for `self`.
  main = arms[0]
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('selfexplain_jax.reports'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  environment.filters.update(
    percent=wording.percent,
    signed=wording.signed,
    interval=wording.interval,
    p_value=wording.p_value,
    arm=wording.arm,
    plain=wording.plain,
  )
  table = said[main]
  # Positions in the order in which they come in a text, not by name.
  kinds = _by_mean(table['position_kind'], table['position'])
  people = len(set(table['group'].to_pylist()))
  beside = [arm for arm in _BESIDE if arm in arms and arm != main]
  return environment.get_template('report.html.j2').render(
    metrics=metrics,
    arms=arms,
    main=main,
    people=people,
    asked=wording.questions(metrics['n'], people, metrics['split']),
    gaps=_gaps(metrics),
    exact_match_plot=_exact_match_plot(metrics['rows'], arms),
    maps=_maps(said, main, kinds),
    kinds=kinds,
    blocks=_by_mean(table['block'], table['first_layer']),
    claims=_claims(said, main, beside, metrics['seed']),
    beside=beside,
    static_rows=_STATIC_ROWS,
    definitions=wording.ARMS,
    measures=wording.METRICS,
    tested=_TESTED,
  )


def _of_arm(predictions: pa.Table, arm: str) -> pa.Table:
  return predictions.filter(pc.equal(predictions['arm'], arm))


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


def _exact_match_plot(rows: Mapping[str, Any], arms: Sequence[str]) -> str:
  estimates = [rows[arm]['exact_match'] for arm in arms]
  shares = (
    f'{wording.arm(arm)} {wording.percent(estimate["value"])}'
    for arm, estimate in zip(arms, estimates, strict=True)
  )
  return plots.whiskers(
    'exact_match',
    f'Exact match of every arm: {", ".join(shares)}',
    [wording.arm(arm) for arm in arms],
    estimates,
  )


def _maps(
  said: Mapping[str, pa.Table], main: str, kinds: Sequence[str]
) -> list[dict[str, str]]:
  """Draws what happens, and how often it is told, over positions and layers."""
  own = _cells(said[main], kinds)
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
    shuffled = _cells(said['shuffled_vector'], kinds)
    drawn.append(
      (
        'gain',
        'Self minus shuffled vector',
        'Exact match that the real vector adds, in points.',
        _minus(own['exact_match'], shuffled['exact_match']),
      )
    )
  blocks = [
    str(first) if first == last else f'{first}–{last}'
    for first, last in own['blocks']
  ]
  return [
    {
      'title': title,
      'caption': caption,
      'svg': plots.heat_map(
        f'map_{short}',
        f'{title}, by position kind and layers',
        [wording.plain(kind) for kind in kinds],
        blocks,
        values,
        own['n'],
        difference=short == 'gain',
      ),
    }
    for short, title, caption, values in drawn
  ]


def _by_mean(labels: pa.ChunkedArray, values: pa.ChunkedArray) -> list[str]:
  """Returns the distinct labels by the mean of their values, then by name."""
  members: dict[str, list[float]] = {}
  for label, value in zip(labels.to_pylist(), values.to_pylist(), strict=True):
    members.setdefault(label, []).append(value)
  return sorted(members, key=lambda label: (np.mean(members[label]), label))


def _cells(table: pa.Table, kinds: Sequence[str]) -> dict[str, list]:
  """Returns the tables of `metrics.by_cell` with their rows as in `kinds`."""
  column = {
    name: table[name].to_numpy()
    for name in ('changed', 'claimed', 'exact', 'content', 'group')
  }
  layers = (table[name].to_pylist() for name in ('first_layer', 'last_layer'))
  tables = metrics_lib.by_cell(
    metrics_lib.Outcomes(**column),
    table['position_kind'].to_pylist(),
    list(zip(*layers, strict=True)),
  )
  order = [tables['position_kinds'].index(kind) for kind in kinds]
  return {
    'blocks': tables['blocks'],
    **{
      name: [tables[name][row] for row in order]
      for name in ('n', 'exact_match', 'changed_rate')
    },
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
  said: Mapping[str, pa.Table], main: str, beside: Sequence[str], seed: int
) -> list[dict[str, Any]]:
  """Returns the claims that are shown, each with those of other arms."""
  others = {
    arm: {row['record']: row for row in said[arm].to_pylist()} for arm in beside
  }
  return [
    examples.entry(row, {arm: others[arm][row['record']] for arm in beside})
    for row in examples.choose(said[main].to_pylist(), seed)
  ]
