# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Baselines and controls that need no language model.

Records are columns by name, each a sequence of N values:

| column | value |
|---|---|
| place, treatment | text: the cell of the question |
| answer | canonical text; training only |

No baseline looks at the training-only columns of the evaluation records.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
import zlib

from absl import logging
import numpy as np

from selfexplain_jax import errors

Records = Mapping[str, Sequence[Any] | np.ndarray]

# Evaluation rows whose products with all training rows are held at a time.
_CHUNK = 1024
# Training rows whose vectors are held at a time.
_KEYS = 1 << 16


def majority(train: Records, evaluation: Records) -> list[str]:
  """Answers with the most common training answer, the first by text if tied.

  Raises:
    errors.InputError: if there are no training records.
  """
  check_train(train)
  return [most_common(train['answer'])] * len(evaluation['place'])


def majority_of_cell(train: Records, evaluation: Records) -> list[str]:
  """Answers with the most common training answer of the question's cell.

  Where the cell has none in training, with the most common of all.

  Raises:
    errors.InputError: if there are no training records.
  """
  check_train(train)
  answers = np.array(train['answer'], object)
  common = {cell: most_common(answers[r]) for cell, r in _cells(train).items()}
  everywhere = most_common(answers)
  cells = zip(evaluation['place'], evaluation['treatment'], strict=True)
  return [common.get(cell, everywhere) for cell in cells]


def nearest_neighbour(
  train_vectors: Callable[[np.ndarray], np.ndarray],
  evaluation_vectors_NxD: np.ndarray,
  train: Records,
  evaluation: Records,
  within_cells: bool = True,
) -> list[str]:
  """Answers as the training record whose vector has the largest dot product.

  The product is plain, without normalisation, as in the paper (appendix on
  baselines). Ties go to the first.

  Args:
    train_vectors: returns those of some training records, `[n, D]`, given
      which; they may be more than memory holds.
    evaluation_vectors_NxD: of the evaluation records.
    train: the training records.
    evaluation: the evaluation records.
    within_cells: whether only records of the same place and treatment are
      compared; where there is none in training, and without it, all are.

  Raises:
    errors.InputError: if there are no training records, or the vectors are
      not one finite row of the same width for each record.
  """
  check_train(train)
  count = len(evaluation['place'])
  vectors = _vectors('evaluation', evaluation_vectors_NxD, count)
  everywhere = np.arange(len(train['place']))
  known = _cells(train) if within_cells else {}
  nearest = np.zeros(count, np.int64)
  largest = np.full(count, -np.inf, np.float32)
  for cell, rows in _cells(evaluation).items():
    candidates = known.get(cell, everywhere)
    for first in range(0, len(candidates), _KEYS):
      some = candidates[first : first + _KEYS]
      keys = _vectors('training', train_vectors(some), len(some))
      if keys.shape[1] != vectors.shape[1]:
        raise errors.InputError(
          'nearest neighbour: expected vectors of one width, got '
          f'{keys.shape[1]} in training and {vectors.shape[1]} here'
        )
      for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        products = vectors[chunk] @ keys.T
        best = np.argmax(products, axis=1)
        found = products[np.arange(len(chunk)), best]
        better = found > largest[chunk]
        nearest[chunk[better]] = some[best[better]]
        largest[chunk[better]] = found[better]
  return [str(train['answer'][row]) for row in nearest.tolist()]


def permute_within(records: Records, seed: int) -> np.ndarray:
  """Returns which row's vector each row gets in the shuffled-vector control.

  The rows of a cell (place, treatment) are put on a random cycle and each takes
  the vectors of the next, so that everything but the vectors' own content stays
  as it was.

  Args:
    records: N rows.
    seed: of the cycles.

  Returns:
    A permutation, int64[N]. A row maps to itself only if it is alone in its
    cell; how many are is logged, and such rows control nothing.
  """
  rng = np.random.default_rng([seed, zlib.crc32(b'shuffled_vector')])
  permutation = np.arange(len(records['place']))
  alone = 0
  for _, rows in sorted(_cells(records).items()):
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


def shuffled_order(count: int, seed: int, purpose: str) -> np.ndarray:
  """Returns 0 … count - 1 in an order drawn for a purpose, int64[count]."""
  rng = np.random.default_rng([seed, zlib.crc32(purpose.encode())])
  return rng.permutation(count)


def check_train(train: Records) -> None:
  """Raises an InputError if there are no training records."""
  if not len(train['answer']):
    raise errors.InputError(
      'control: expected at least one training record, got none'
    )


def most_common(answers: Iterable[str]) -> str:
  """Returns the most common answer, the first by text if tied."""
  counts = collections.Counter(str(answer) for answer in answers)
  return min(counts, key=lambda answer: (-counts[answer], answer))


def _cells(records: Records) -> dict[tuple[str, str], np.ndarray]:
  """Returns the rows of each (place, treatment)."""
  rows = collections.defaultdict(list)
  cells = zip(records['place'], records['treatment'], strict=True)
  for row, cell in enumerate(cells):
    rows[cell].append(row)
  return {cell: np.array(members) for cell, members in rows.items()}


def _vectors(what: str, vectors: np.ndarray, n: int) -> np.ndarray:
  vectors = np.asarray(vectors, np.float32)
  if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
    raise errors.InputError(
      f'nearest neighbour: expected {n} finite {what} vectors, one a row, got '
      f'shape {vectors.shape} with '
      f'{np.count_nonzero(~np.isfinite(vectors))} values not finite'
    )
  return vectors
