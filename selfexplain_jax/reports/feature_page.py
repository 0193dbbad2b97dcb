# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The page of an evaluation of feature descriptions, with a card for each."""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any
import zlib

import numpy as np
import pyarrow as pa

from selfexplain_jax.reports import page
from selfexplain_jax.reports import wording

# Features that are shown.
LIMIT = 120
# Tokens shown on either side of those where a feature is active.
_AROUND = 6

_COLUMNS = (
  'arm',
  'record',
  'place',
  'layer',
  'source',
  'label',
  'label_correlation',
  'output',
  'claim',
)
_SHOWN = ('simulator', 'detection', 'fuzzing')
_TESTED = ('exact_match', 'simulator', 'detection')
_BESIDE = ('stranger', 'shuffled_vector')
_PARTS = {
  '': 'Features',
  'new_label_': 'Features whose label is not in training',
  'activation_': 'Activations in place of features: nobody knows a label',
  'difference_': 'Differences of activations: nobody knows a label',
}


def render(
  metrics: Mapping[str, Any], predictions: pa.Table, exemplars: pa.Table
) -> str:
  """Returns the page.

  Args:
    metrics: the content of metrics.json.
    predictions: a row for each arm and record.
    exemplars: the documents in which each vector is most active.

  Raises:
    errors.InputError: if predictions lack a column, or have no record of an
      arm in metrics.
  """
  parts = {p: title for p, title in _PARTS.items() if f'{p}rows' in metrics}
  # Where no feature is active anywhere there are answers, but no figures.
  rows = metrics.get('rows', {})
  everybody = rows or dict.fromkeys(predictions['arm'].to_pylist())
  measures = wording.description_metrics(metrics)
  said = page.by_arm(predictions, everybody, (*_COLUMNS, *measures))
  arms = list(said)
  main = arms[0]
  beside = [arm for arm in _BESIDE if arm in arms and arm != main]
  shown = [m for m in _SHOWN if m in measures] or ['similarity']
  cards = _cards(said, main, beside, exemplars, shown, metrics['seed'])
  return page.template('features.html.j2').render(
    metrics=metrics,
    arms=arms,
    main=main,
    asked=wording.asked(metrics),
    gaps=_gaps(metrics),
    share_of_label=_share_of_label(rows),
    exact_match_plot=page.exact_match_plot(rows, arms) if rows else '',
    parts=parts,
    cards=cards,
    layers=sorted({card['layer'] for card in cards}),
    beside=beside,
    definitions=wording.arms('features'),
    measures=measures,
    links={'exact_match': page.link('features', right='true')},
    simulator=wording.simulator(metrics),
    tested=_TESTED,
  )


def _gaps(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the headline: the tests that are there, in words."""
  return [
    {
      'title': title,
      'test': metrics['tests'][name]['exact_match'],
      'simulator': metrics['tests'][name].get('simulator'),
      'new': metrics.get('new_label_tests', {})
      .get(name, {})
      .get('exact_match'),
      'conclusion': wording.conclusion(
        name, metrics['tests'][name]['exact_match']
      ),
    }
    for name, (title, *_) in wording.GAPS.items()
    if name in metrics.get('tests', {})
  ]


def _share_of_label(rows: Mapping[str, Any]) -> float | None:
  """Self's simulator correlation as a share of what the labels get."""
  if not {'self', 'label'} <= rows.keys() or 'simulator' not in rows['self']:
    return None
  own, label = (rows[a]['simulator']['value'] for a in ('self', 'label'))
  # Of labels that predict nothing, or the wrong way round, there is no share.
  return None if own is None or not label or label < 0 else own / label


def _cards(
  said: Mapping[str, pa.Table],
  main: str,
  beside: Sequence[str],
  exemplars: pa.Table,
  measures: Sequence[str],
  seed: int,
) -> list[dict[str, Any]]:
  """Returns the features that are shown, with these measures and exemplars."""
  others = {
    arm: {row['record']: row for row in said[arm].to_pylist()} for arm in beside
  }
  documents: dict[int, list[dict[str, Any]]] = {}
  for row in exemplars.to_pylist():
    documents.setdefault(row['record'], []).append(row)
  labelled = [row for row in said[main].to_pylist() if row['label']]
  return [
    {
      'title': f'Layer {row["layer"]}, {row["source"]}',
      'layer': row['layer'],
      'right': bool(row['exact_match']),
      'said': row['output'],
      'label': row['label'],
      'correlation': _finite(row['label_correlation']),
      'scores': {
        name: row[name] for name in measures if np.isfinite(row[name])
      },
      'others': {
        arm: (
          bool(others[arm][row['record']]['exact_match']),
          others[arm][row['record']]['output'],
        )
        for arm in beside
      },
      'exemplars': _exemplars(documents.get(row['record'], [])),
    }
    for row in _chosen(labelled, seed)
  ]


def _finite(value: float) -> float | None:
  """The value, or None where it is unknown."""
  return value if np.isfinite(value) else None


def _chosen(rows: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
  """Chooses features in turn from all layers, right and wrong."""

  def draw(row: dict[str, Any]) -> float:
    purpose = zlib.crc32(b'report features')
    return np.random.default_rng([seed, purpose, row['record']]).random()

  strata: dict[tuple[int, bool], list[dict[str, Any]]] = {}
  for row in sorted(rows, key=draw):
    key = (row['layer'], bool(row['exact_match']))
    strata.setdefault(key, []).append(row)
  turns = itertools.zip_longest(*(strata[key] for key in sorted(strata)))
  taken = (row for turn in turns for row in turn if row is not None)
  return list(itertools.islice(taken, LIMIT))


def _exemplars(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """Returns a vector's documents: their tokens, and what they show in words."""
  top = max((max(d['activations']) for d in documents), default=0.0)
  return [{'tokens': _tokens(d, top), 'words': _in_words(d)} for d in documents]


def _in_words(exemplar: Mapping[str, Any]) -> str:
  """Says in numbers what shading and underlining show; BOS is not counted."""
  values = np.array(exemplar['activations'])
  peak, active = int(values.argmax()), values > 0
  text = (
    f'Peak {values[peak]:.3g} at “{exemplar["tokens"][peak]}”, active at '
    f'{active.sum()} of {len(values) - 1} tokens'
  )
  if not exemplar['claimed']:
    return f'{text}.'
  claimed = np.array(exemplar['claimed'])[1:]
  return (
    f'{text}; the description holds at {claimed.sum()}, '
    f'{(claimed & active[1:]).sum()} of them active.'
  )


def _tokens(exemplar: Mapping[str, Any], top: float) -> list[dict[str, Any]]:
  """Returns a document's tokens with their shading, from 0 to 1.

  Tokens are left out that are far from any activity and from where the
  description holds.

  Args:
    exemplar: a row of exemplars.
    top: the vector's largest activation, which is shaded most.
  """
  values = np.array(exemplar['activations'])
  claimed = exemplar['claimed'] or [False] * len(values)
  near = np.flatnonzero((values > 0) | claimed)
  away = np.abs(np.arange(len(values))[:, None] - near)
  shown = away.min(1) <= _AROUND
  tokens: list[dict[str, Any]] = []
  for place in np.flatnonzero(shown).tolist():
    if tokens and place - 1 != tokens[-1]['place']:
      tokens.append({'place': place - 1, 'text': '…', 'value': 0, 'shade': 0})
    tokens.append(
      {
        'place': place,
        'text': exemplar['tokens'][place],
        'value': values[place],
        'shade': round(float(values[place] / top), 2),
        'claimed': bool(claimed[place]),
      }
    )
  return [{'claimed': False, **token} for token in tokens]
