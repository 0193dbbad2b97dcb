# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The input of explainer training: packed rows by a global row counter.

Which examples a row holds is a function of (seed, epoch), and row c of the job
is the same whatever the batch, the host or the restart.
"""

from collections.abc import Iterator
import zlib

import grain
import numpy as np

from selfexplain_jax.data import packing
from selfexplain_jax.data import questions as questions_lib


class PackedRows(grain.sources.RandomAccessDataSource):
  """Packed rows of an explanation set, epoch after epoch, as a grain source."""

  def __init__(
    self,
    questions: questions_lib.Questions,
    vectors_NxD: np.ndarray,
    *,
    seed: int,
    capacity: int,
    per_row: int,
    rows: int,
  ):
    """Prepares rows.

    Args:
      questions: N encoded examples.
      vectors_NxD: their vectors.
      seed: of the order and of the choice of phrasings.
      capacity: tokens of a row.
      per_row: most examples of a row, K.
      rows: rows of the whole job.
    """
    self._questions = questions
    self._vectors = vectors_NxD
    self._seed, self._capacity, self._per_row = seed, capacity, per_row
    self._rows = rows
    self._epochs: list[tuple[int, list[list[int]]]] = []  # first row, rows

  def __len__(self) -> int:
    return self._rows

  def phrasing(self, example: int, epoch: int) -> int:
    """Which phrasing an example is asked in: a hash of seed, example, epoch."""
    count = len(self._questions.question_ids[example])
    key = f'{self._seed}/{example}/{epoch}'.encode()
    return zlib.crc32(key) % count

  def _plan(self, epoch: int) -> list[list[int]]:
    lengths = [
      len(q[self.phrasing(i, epoch)]) + len(a)
      for i, (q, a) in enumerate(
        zip(
          self._questions.question_ids, self._questions.answer_ids, strict=True
        )
      )
    ]
    rng = np.random.default_rng([self._seed, zlib.crc32(b'order'), epoch])
    order = rng.permutation(len(lengths)).tolist()
    return packing.plan(lengths, order, self._capacity, self._per_row)

  def _find(self, counter: int) -> tuple[int, list[int]]:
    """Returns the epoch of a row and the examples that it holds."""
    end = 0
    for epoch in range(counter + 1):
      if epoch == len(self._epochs):
        self._epochs.append((end, self._plan(epoch)))
      start, rows = self._epochs[epoch]
      end = start + len(rows)
      if counter < end:
        return epoch, rows[counter - start]
    raise IndexError(counter)

  def __getitem__(self, counter: int) -> dict[str, np.ndarray]:
    """Returns a row: the fields of `packing.pack`, and `vectors` [K, D]."""
    epoch, examples = self._find(counter)
    row = packing.pack(
      [
        (
          self._questions.question_ids[i][self.phrasing(i, epoch)],
          self._questions.answer_ids[i],
        )
        for i in examples
      ],
      self._capacity,
    )
    row['vectors'] = np.zeros(
      (self._per_row, self._vectors.shape[1]), np.float32
    )
    row['vectors'][: len(examples)] = self._vectors[examples]
    return row


def batches(
  source: PackedRows, batch: int, done: int
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches that are left after `done` steps of `batch` rows."""
  dataset = grain.MapDataset.source(source)[done * batch :].batch(batch)
  yield from dataset.to_iter_dataset(grain.ReadOptions(num_threads=0))
