# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Each person's share of every figure: sums over the records of each group.

All figures of a study are functions of sums over records. What is kept of a
run are the sums of each group, from which intervals and paired tests, within a
run and over several, are computed anew whenever results are collected.

Letters: G groups (base persons, or labels), S seeds.
"""

from collections.abc import Callable, Mapping, Sequence
import io

import numpy as np
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import metrics
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.tasks import features

# By metric f64[G, 2], sum and number of records; f64[G, 6] for macro_f1, the
# table of `metrics.confusion`.
Sums = Mapping[str, np.ndarray]

MACRO_F1 = 'macro_f1'
METRICS = {
  'features': ('exact_match', 'simulator', 'detection'),
  'patching': (
    'exact_match',
    'exact_match_changed',
    'exact_match_balanced',
    MACRO_F1,
  ),
}
METRICS['ablation'] = METRICS['patching']

# What is asked and what happens: the same for all that can be compared.
_ASKED = {
  'features': ('group', 'place', 'layer', 'feature'),
  'patching': (
    *('group', 'place', 'treatment', 'text', 'token_text'),
    *('counterfactual_text', 'clean_token', 'treated_token'),
  ),
  'ablation': (
    *('group', 'place', 'treatment', 'text', 'span_text'),
    *('replacement_text', 'clean_token', 'treated_token'),
  ),
}
_OF_CHANGES = ('arm', 'changed', 'claimed', 'exact', 'balanced')
_OF_DESCRIPTIONS = ('arm', 'record', *METRICS['features'])


def read(
  evaluation: files.PathLike, task: str, arms: Sequence[str]
) -> tuple[str, dict[str, Sums]]:
  """Sums up the predictions of an evaluation.

  Args:
    evaluation: the workdir of an evaluation.
    task: its question type.
    arms: which arms.

  Returns:
    A digest of what was asked and what happened (of features, what they are
    labelled), and by arm the sums of each group, the groups sorted by name.

  Raises:
    errors.InputError: if the evaluation is not there or lacks an arm.
  """
  described = task == features.NAME
  figures = _OF_DESCRIPTIONS if described else _OF_CHANGES
  wanted = (*figures, *_ASKED[task])
  table = _columns(evaluation, 'predictions', wanted)
  kept = np.ones(len(table['arm']), bool)
  if described:
    # As in metrics.json: features that are active somewhere in the documents.
    active = _columns(evaluation, 'exemplars', ('record',))['record']
    kept = table['place'] == features.FEATURE
    kept &= np.isin(table['record'], active)
  names = np.unique(table['group'][kept])
  found: dict[str, Sums] = {}
  for arm in arms:
    own = np.flatnonzero(kept & (table['arm'] == arm))
    if not len(own):
      raise errors.InputError(
        f'{evaluation} has no answers of arm {arm!r}: expected one of '
        f'{", ".join(sorted(set(table["arm"].tolist())))}'
      )
    columns = {name: values[own] for name, values in table.items()}
    group = np.searchsorted(names, columns['group'])
    found[arm] = {
      metric: _per_group(values, group, len(names))
      for metric, values in _values(task, columns).items()
    }
  first = kept & (table['arm'] == arms[0])
  asked = zip(*(table[n][first].tolist() for n in _ASKED[task]), strict=True)
  return files.digest_json(sorted(map(list, asked))), found


def _columns(
  evaluation: files.PathLike, name: str, wanted: Sequence[str]
) -> dict[str, np.ndarray]:
  """Reads some columns of a table of an evaluation."""
  source = files.path(evaluation) / f'{name}.parquet'
  if not source.exists():
    raise errors.InputError(
      f'{source} not found: expected the workdir of a finished evaluation'
    )
  content = io.BytesIO(source.read_bytes())
  table = parquet.read_table(content, columns=list(wanted))
  return {column: np.array(table[column].to_pylist()) for column in wanted}


def _values(
  task: str, columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """What each record adds to the sums, f64[N, 2] or f64[N, 6] by metric."""
  if task == features.NAME:
    return {
      metric: _sum_and_size(columns[metric], np.isfinite(columns[metric]))
      for metric in METRICS[task]
    }
  changed, exact = columns['changed'], columns['exact']
  confusion = np.zeros((len(changed), 2, 3))
  # An invalid claim, -1, is the last column.
  confusion[
    np.arange(len(changed)), changed.astype(int), columns['claimed']
  ] = 1
  return {
    'exact_match': _sum_and_size(exact, np.ones(len(exact), bool)),
    'exact_match_changed': _sum_and_size(exact, changed),
    'exact_match_balanced': _sum_and_size(exact, columns['balanced']),
    MACRO_F1: confusion.reshape(-1, 6),
  }


def _sum_and_size(values: np.ndarray, where: np.ndarray) -> np.ndarray:
  return np.stack([np.where(where, values, 0), where], axis=-1).astype(float)


def _per_group(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
  sums = np.zeros((count, values.shape[1]))
  np.add.at(sums, group, values)
  return sums


def to_json(sums: Sums) -> dict[str, list[str]]:
  """Writes each column as one text, since one number a line is too long."""
  return {
    metric: [' '.join(f'{x:.7g}' for x in column) for column in values.T]
    for metric, values in sums.items()
  }


def from_json(content: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
  """Reads what `to_json` wrote."""
  return {
    metric: np.array(
      [[float(x) for x in column.split()] for column in columns]
    ).T
    for metric, columns in content.items()
  }


def over_seeds(metric: str) -> statistics.Statistic:
  """Returns the figure of sums [..., S, 2 or 6], its mean over seeds."""
  figure: Callable[[np.ndarray], np.ndarray] = (
    _macro_f1 if metric == MACRO_F1 else _ratio
  )
  return lambda sums: figure(sums).mean(-1)


def value(metric: str, sums_Gx2: np.ndarray) -> float:
  """Returns the figure of one run, NaN where it is undefined."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return float(over_seeds(metric)(sums_Gx2.sum(0)[None]))


def _ratio(sums: np.ndarray) -> np.ndarray:
  return sums[..., 0] / sums[..., 1]


def _macro_f1(sums: np.ndarray) -> np.ndarray:
  return metrics.macro_f1(sums.reshape(*sums.shape[:-1], 2, 3))
