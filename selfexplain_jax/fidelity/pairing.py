# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Evaluations of one explanation set, paired record by record.

Of each evaluation one arm is compared, `self` as a rule, on the records that
all of them scored.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import pyarrow.compute as pc

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import evaluations as evaluations_lib
from selfexplain_jax.fidelity import metrics as metrics_lib
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.tasks import features

# Measures of descriptions that are compared.
_DESCRIBED = ('exact_match', 'simulator', 'detection', 'similarity')
# What all have of a record, whoever answered.
_OF_RECORD = {
  'features': ('group', 'layer', 'feature', 'source', 'label'),
  'patching': ('group', 'place', 'treatment', 'text', 'expected'),
  'ablation': ('group', 'place', 'treatment', 'text', 'expected'),
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """One evaluation, by the answers of one arm.

  Attributes:
    name: what it is called.
    figures: the content of its metrics.json.
    said: its predictions of the arm, by record.
    asked: digest of the explanation set.
  """

  name: str
  figures: Mapping[str, Any]
  said: Mapping[int, Mapping[str, Any]]
  asked: str


def read(name: str, directory: str, arm: str) -> Evaluation:
  """Reads an evaluation.

  Args:
    name: what to call it.
    directory: its workdir.
    arm: whose answers are compared.

  Raises:
    errors.InputError: if it is not whole, or has no such arm.
  """
  folder = files.path(directory)
  figures = evaluations_lib.figures(folder)
  inputs = files.read_json(
    folder / 'answers/inputs.json', 'inputs of an evaluation'
  )
  if arm not in figures.get('rows', {}):
    raise errors.InputError(
      f'{directory} has no arm {arm!r}: expected one of '
      f'{", ".join(figures.get("rows", {}))}'
    )
  table = evaluations_lib.table(folder)
  rows = table.filter(pc.equal(table['arm'], arm)).to_pylist()
  said = {row['record']: row for row in rows}
  return Evaluation(name, figures, said, inputs['explanation set'])


def compare(
  evaluations: Sequence[Evaluation], seed: int = 0
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """Compares evaluations with the first of them.

  Args:
    evaluations: at least two, of different names.
    seed: of the resamples.

  Returns:
    Figures: `task`, `n`, `left_out`, `rows` by name, and `tests` by name, the
    first minus that one. And the records on which any two differ in being
    right, each with what every evaluation said.

  Raises:
    errors.InputError: if they are of different sets, or share no record.
  """
  first = evaluations[0]
  for other in evaluations[1:]:
    if other.asked != first.asked:
      raise errors.InputError(
        f'{other.name} asked another explanation set than {first.name}: '
        'expected one, so that answers can be paired by record'
      )
  records = sorted(set.intersection(*(set(e.said) for e in evaluations)))
  task = first.figures['task']
  if task == 'features':
    # As in an evaluation: of vectors without a label nobody is right, and where
    # one is active nowhere there is nothing to tell.
    records = [r for r in records if _scored(first.said[r])]
  if not records:
    raise errors.InputError(
      f'{", ".join(e.name for e in evaluations)} share no record: expected '
      'evaluations of one split'
    )
  groups = [first.said[r]['group'] for r in records]
  bootstrap = statistics.Bootstrap(groups, seed=seed)
  measure: Callable = _described if task == 'features' else _changed
  rows, tests = measure(evaluations, records, groups, bootstrap)
  seen = set.union(*(set(e.said) for e in evaluations))
  figures = {
    'task': task,
    'n': len(records),
    'groups': len(set(groups)),
    'left_out': len(seen) - len(records),
    'evaluations': [e.name for e in evaluations],
    'rows': rows,
    'tests': tests,
  }
  return figures, [
    {
      'record': r,
      **{name: first.said[r].get(name) for name in _OF_RECORD[task]},
      'answers': {e.name: e.said[r]['output'] for e in evaluations},
      'right': {e.name: _right(e.said[r], task) for e in evaluations},
    }
    for r in records
    if len({_right(e.said[r], task) for e in evaluations}) > 1
  ]


def _scored(row: Mapping[str, Any]) -> bool:
  """Whether a vector is a feature that is active somewhere."""
  return row['place'] == features.FEATURE and np.isfinite(
    row.get('simulator', 0.0)
  )


def _right(row: Mapping[str, Any], task: str) -> bool:
  return bool(row['exact_match' if task == 'features' else 'exact'])


def _changed(
  evaluations: Sequence[Evaluation],
  records: Sequence[int],
  groups: Sequence[str],
  bootstrap: statistics.Bootstrap,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Scores and tests of claims about changed outputs."""

  def column(e: Evaluation, name: str, dtype: Any) -> np.ndarray:
    return np.array([e.said[r][name] for r in records], dtype)

  outcomes = {
    e.name: metrics_lib.Outcomes(
      changed=column(e, 'changed', bool),
      claimed=column(e, 'claimed', np.int8),
      exact=column(e, 'exact', bool),
      content=column(e, 'content', bool),
      group=np.asarray(groups),
    )
    for e in evaluations
  }
  first = outcomes[evaluations[0].name]
  rows = {n: metrics_lib.score(o, bootstrap) for n, o in outcomes.items()}
  tests = {
    n: metrics_lib.compare(first, o, bootstrap)
    for n, o in outcomes.items()
    if o is not first
  }
  return rows, tests


def _described(
  evaluations: Sequence[Evaluation],
  records: Sequence[int],
  groups: Sequence[str],
  bootstrap: statistics.Bootstrap,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Scores and tests of descriptions."""
  del groups
  measures = [
    m for m in _DESCRIBED if all(m in e.said[records[0]] for e in evaluations)
  ]
  scores = {
    e.name: {
      m: np.array([e.said[r][m] for r in records], float) for m in measures
    }
    for e in evaluations
  }
  first = scores[evaluations[0].name]
  rows = {
    name: {m: bootstrap.mean_of_defined(v).to_json() for m, v in own.items()}
    for name, own in scores.items()
  }
  tests = {
    name: {
      m: bootstrap.difference_of_defined(first[m], v).to_json()
      for m, v in own.items()
    }
    for name, own in scores.items()
    if own is not first
  }
  return rows, tests
