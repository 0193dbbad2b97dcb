# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Baselines and controls that need no language model.

Records are columns by name, each a sequence of N values:

| column | value |
|---|---|
| position_kind | text, such as `last name` |
| first_layer, last_layer | int: the layer block, last layer included |
| prompt_kind | text, such as relation and phrasing |
| prompt_length | int, tokens |
| changed | bool; training only |
| answer | canonical text; training only |
| group | base person; training only |

Every baseline returns one answer per evaluation record and never looks at the
training-only columns of the evaluation records.
"""

import collections
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any
import zlib

from absl import logging
import numpy as np
from scipy import optimize
from scipy import sparse

from selfexplain_jax import errors

Records = Mapping[str, Sequence[Any] | np.ndarray]
Block = tuple[int, int]

# Strongest first, so that ties go to the simpler classifier.
_PENALTIES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
_FOLDS = 5
_LENGTH_BUCKETS = 4
# Evaluation rows whose products with all training rows are held at a time.
_CHUNK = 1024


def blocks(records: Records) -> list[Block]:
  """Returns the layer block of each record as (first layer, last layer)."""
  pairs = zip(records['first_layer'], records['last_layer'], strict=True)
  return [(int(first), int(last)) for first, last in pairs]


def majority(train: Records, evaluation: Records) -> list[str]:
  """Answers with the most common training answer, the first by text if tied.

  Raises:
    errors.InputError: if there are no training records.
  """
  _check_train(train)
  return [_most_common(train['answer'])] * len(evaluation['position_kind'])


def metadata(train: Records, evaluation: Records) -> list[str]:
  """Answers from what is known without prompt text and without vector.

  A logistic regression on position kind x layer block, prompt kind, the two
  together, and prompt length predicts the verdict; the answer is the most
  common training answer with that verdict to that prompt kind (to any, where
  there is none), and so names the most common patched or clean token. The
  penalty is the one with the best likelihood on held-out groups of the training
  records. Categories that were not trained on add nothing to the score.

  Raises:
    errors.InputError: if the training records are of fewer than two groups.
  """
  _check_train(train)
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
  common = {key: _most_common(values) for key, values in answers.items()}
  predicted = []
  for kind, verdict in zip(evaluation['prompt_kind'], verdicts, strict=True):
    keys = ((kind, verdict), verdict, None)
    predicted.append(next(common[key] for key in keys if key in common))
  return predicted


def nearest_neighbour(
  train_vectors_RxD: np.ndarray,
  evaluation_vectors_NxD: np.ndarray,
  train: Records,
  evaluation: Records,
) -> list[str]:
  """Answers as the training record whose vector has the largest dot product.

  The product is plain, without normalisation, as in the paper (appendix on
  baselines), and within the same position kind and layer block; where no
  training record is of that cell, over all of them. Ties go to the first.

  Raises:
    errors.InputError: if there are no training records, or the vectors are
      not one finite row of the same width for each record.
  """
  _check_train(train)
  train_vectors = _vectors('training', train_vectors_RxD, train)
  vectors = _vectors('evaluation', evaluation_vectors_NxD, evaluation)
  if train_vectors.shape[1] != vectors.shape[1]:
    raise errors.InputError(
      'nearest neighbour: expected vectors of one width, got '
      f'{train_vectors.shape[1]} in training and {vectors.shape[1]} here'
    )
  everywhere = np.arange(len(train_vectors))
  known = _cells(train['position_kind'], blocks(train))
  nearest = np.zeros(len(vectors), np.int64)
  cells = _cells(evaluation['position_kind'], blocks(evaluation))
  for cell, rows in cells.items():
    candidates = known.get(cell, everywhere)
    keys = train_vectors[candidates]
    for start in range(0, len(rows), _CHUNK):
      chunk = rows[start : start + _CHUNK]
      nearest[chunk] = candidates[np.argmax(vectors[chunk] @ keys.T, axis=1)]
  return [str(train['answer'][row]) for row in nearest.tolist()]


def permute_within(
  position_kind: Sequence[str], block: Sequence[Hashable], seed: int
) -> np.ndarray:
  """Returns which row's vector each row gets in the shuffled-vector control.

  The rows of a (position kind, layer block) cell are put on a random cycle
  and each takes the vector of the next, so that everything but the vector's
  own content stays as it was.

  Args:
    position_kind: of each row, [N].
    block: of each row, [N]; labels that sort.
    seed: of the cycles.

  Returns:
    A permutation, int64[N]. A row maps to itself only if it is alone in its
    cell; how many are is logged, and such rows control nothing.
  """
  rng = np.random.default_rng([seed, zlib.crc32(b'shuffled_vector')])
  permutation = np.arange(len(position_kind))
  alone = 0
  for _, rows in sorted(_cells(position_kind, block).items()):
    cycle = rng.permutation(rows)
    permutation[cycle] = np.roll(cycle, -1)
    alone += len(rows) == 1
  if alone:
    logging.warning(
      'shuffled_vector: %d of %d rows are alone in their cell and keep their '
      'own vector',
      alone,
      len(permutation),
    )
  return permutation


def _check_train(train: Records) -> None:
  if not len(train['answer']):
    raise errors.InputError(
      'control: expected at least one training record, got none'
    )


def _most_common(answers: Iterable[str]) -> str:
  counts = collections.Counter(str(answer) for answer in answers)
  return min(counts, key=lambda answer: (-counts[answer], answer))


def _cells(
  position_kind: Iterable[str], block: Iterable[Hashable]
) -> dict[tuple[str, Hashable], np.ndarray]:
  """Returns the rows of each (position kind, layer block)."""
  rows = collections.defaultdict(list)
  for row, cell in enumerate(zip(position_kind, block, strict=True)):
    rows[cell].append(row)
  return {cell: np.array(members) for cell, members in rows.items()}


def _vectors(what: str, vectors: np.ndarray, records: Records) -> np.ndarray:
  vectors = np.asarray(vectors, np.float32)
  n = len(records['position_kind'])
  if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
    raise errors.InputError(
      f'nearest neighbour: expected {n} finite {what} vectors, one a row, got '
      f'shape {vectors.shape} with '
      f'{np.count_nonzero(~np.isfinite(vectors))} values not finite'
    )
  return vectors


def _categories(records: Records, bounds: np.ndarray) -> list[list[str]]:
  """Returns the names of the indicators that are 1 for each record."""
  buckets = np.searchsorted(bounds, records['prompt_length'])
  columns = (
    records['position_kind'],
    blocks(records),
    records['prompt_kind'],
    buckets,
  )
  return [
    [
      f'cell {kind} {block}',
      f'prompt {prompt}',
      f'length {bucket}',
      # Where things happen depends on how it was asked.
      f'cell {kind} {block}, prompt {prompt}',
    ]
    for kind, block, prompt, bucket in zip(*columns, strict=True)
  ]


def _design(
  records: Records, bounds: np.ndarray, categories: Sequence[str]
) -> sparse.csr_array:
  """Returns the indicators and, last, a constant, float64[N, F]."""
  column = {name: i for i, name in enumerate(categories)}
  columns = [
    [column[name] for name in names if name in column] + [len(categories)]
    for names in _categories(records, bounds)
  ]
  ends = np.cumsum([0, *map(len, columns)])
  active = np.concatenate(columns)
  return sparse.csr_array(
    (np.ones(len(active)), active, ends), (len(columns), len(categories) + 1)
  )


def _negative_log_likelihood(
  weights: np.ndarray, design: sparse.csr_array, changed: np.ndarray
) -> float:
  """Returns the mean over records, in nats."""
  return float(np.logaddexp(0, design @ weights * (1 - 2 * changed)).mean())


def _fit(
  design: sparse.csr_array, changed: np.ndarray, penalty: float
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
  return optimize.minimize(objective, start, jac=True, method='L-BFGS-B').x


def _choose_penalty(
  design: sparse.csr_array, changed: np.ndarray, group: np.ndarray
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
