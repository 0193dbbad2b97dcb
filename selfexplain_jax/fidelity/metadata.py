# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The metadata control: what a classifier can tell that sees no activation.

Records are columns by name, each a sequence of N values:

| column | value |
|---|---|
| place, treatment | text: the cell of the question |
| prompt_kind | text, such as relation and phrasing |
| prompt_length | int, tokens |
| changed | bool; training only |
| answer | canonical text; training only |
| group | base person; training only |

The training-only columns of the evaluation records are never looked at.
"""

import collections
from collections.abc import Sequence
import zlib

import numpy as np
import scipy  # Its parts are loaded where they are first used.

from selfexplain_jax import errors
from selfexplain_jax.fidelity import controls

# Strongest first, so that ties go to the simpler classifier.
_PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
_FOLDS = 5
_LENGTH_BUCKETS = 4


def metadata(
  train: controls.Records, evaluation: controls.Records
) -> list[str]:
  """Answers from what is known without prompt text and without vector.

  A logistic regression on place x treatment, prompt kind, the two
  together, and prompt length predicts the verdict; the answer is the most
  common training answer with that verdict to that prompt kind (to any, where
  there is none), and so names the most common patched or clean token. The
  penalty is the one with the best likelihood on held-out groups of the training
  records. Categories that were not trained on add nothing to the score.

  Raises:
    errors.InputError: if the training records are of fewer than two groups.
  """
  controls.check_train(train)
  bounds = np.quantile(
    train['prompt_length'], np.arange(1, _LENGTH_BUCKETS) / _LENGTH_BUCKETS
  )
  categories = sorted(set().union(*_categories(train, bounds)))
  design = _design(train, bounds, categories)
  changed = np.asarray(train['changed'], bool)
  penalty = _choose_penalty(design, changed, np.asarray(train['group']))
  weights = _fit(design, changed, penalty)
  verdicts = _design(evaluation, bounds, categories) @ weights > 0

  answers = collections.defaultdict(list)
  for kind, verdict, answer in zip(
    train['prompt_kind'], changed, train['answer'], strict=True
  ):
    for key in ((kind, verdict), verdict, None):
      answers[key].append(answer)
  common = {
    key: controls.most_common(values) for key, values in answers.items()
  }
  predicted = []
  for kind, verdict in zip(evaluation['prompt_kind'], verdicts, strict=True):
    keys = ((kind, verdict), verdict, None)
    predicted.append(next(common[key] for key in keys if key in common))
  return predicted


def _categories(
  records: controls.Records, bounds: np.ndarray
) -> list[list[str]]:
  """Returns the names of the indicators that are 1 for each record."""
  buckets = np.searchsorted(bounds, records['prompt_length'])
  columns = (
    records['place'],
    records['treatment'],
    records['prompt_kind'],
    buckets,
  )
  return [
    [
      f'cell {place}, {treatment}',
      f'prompt {prompt}',
      f'length {bucket}',
      # Where things happen depends on how it was asked.
      f'cell {place}, {treatment}, prompt {prompt}',
    ]
    for place, treatment, prompt, bucket in zip(*columns, strict=True)
  ]


def _design(
  records: controls.Records, bounds: np.ndarray, categories: Sequence[str]
) -> 'scipy.sparse.csr_array':
  """Returns the indicators and, last, a constant, float64[N, F]."""
  column = {name: i for i, name in enumerate(categories)}
  columns = [
    [column[name] for name in names if name in column] + [len(categories)]
    for names in _categories(records, bounds)
  ]
  ends = np.cumsum([0, *map(len, columns)])
  active = np.concatenate(columns)
  return scipy.sparse.csr_array(
    (np.ones(len(active)), active, ends), (len(columns), len(categories) + 1)
  )


def _negative_log_likelihood(
  weights: np.ndarray, design: 'scipy.sparse.csr_array', changed: np.ndarray
) -> float:
  """Returns the mean over records, in nats."""
  return float(np.logaddexp(0, design @ weights * (1 - 2 * changed)).mean())


def _fit(
  design: 'scipy.sparse.csr_array', changed: np.ndarray, penalty: float
) -> np.ndarray:
  """Returns the weights of an L2 logistic regression, its constant free."""
  strength = np.full(design.shape[1], penalty)
  strength[-1] = 0

  def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
    # The logistic function, written so that it does not overflow.
    probability = 0.5 * (1 + np.tanh(design @ weights / 2))
    slope = design.T @ (probability - changed) / len(changed)
    loss = _negative_log_likelihood(weights, design, changed)
    return (
      loss + 0.5 * float(strength @ weights**2),
      slope + strength * weights,
    )

  start = np.zeros(design.shape[1])
  return scipy.optimize.minimize(
    objective, start, jac=True, method='L-BFGS-B'
  ).x


def _choose_penalty(
  design: 'scipy.sparse.csr_array', changed: np.ndarray, group: np.ndarray
) -> float:
  """Returns the penalty with the best likelihood on held-out groups."""
  names, index = np.unique(group, return_inverse=True)
  folds = min(_FOLDS, len(names))
  if folds < 2:
    raise errors.InputError(
      'metadata: expected training records of at least two groups, got one'
    )
  rng = np.random.default_rng(zlib.crc32(b'metadata'))
  fold = (rng.permutation(len(names)) % folds)[index]

  def held_out_loss(penalty: float) -> float:
    total = 0.0
    for k in range(folds):
      out = fold == k
      weights = _fit(design[~out], changed[~out], penalty)
      loss = _negative_log_likelihood(weights, design[out], changed[out])
      total += loss * np.count_nonzero(out)
    return total

  return min(_PENALTIES, key=held_out_loss)
