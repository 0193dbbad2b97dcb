# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The input of explainer training: packed rows by a global row counter.

Which examples a row holds is a function of (seed, epoch), and row c of the job
is the same whatever the batch, the host or the restart.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import zlib

import grain
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import feeding
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.data import packing
from selfexplain_jax.data import questions as questions_lib


@dataclasses.dataclass(frozen=True)
class Examples:
  """The training examples of one task.

  Attributes:
    task: its name.
    questions: N encoded examples.
    vectors: f32[V, D], those of the set.
    shown: [N][at most K], the rows of `vectors` that each shows, in order.
    most: K, at least 1.
    blocks: i32[N], the layer block of each, as a number.
    weight: the task's share of what is seen, relative to the others'.
    origins: [N][at most K], where the vectors that each shows are from, if they
      are to be computed; None for those of `vectors`.
  """

  task: str
  questions: questions_lib.Questions
  vectors: np.ndarray
  shown: Sequence[Sequence[int]]
  most: int
  blocks: np.ndarray
  weight: float
  origins: Sequence[Sequence[origins_lib.Origin]] | None = None

  def __len__(self) -> int:
    return len(self.questions.answer_ids)


@dataclasses.dataclass(frozen=True)
class _Visit:
  """One visit of an example: which task and example, and in which phrasing."""

  task: int
  example: int
  phrasing: int


class PackedRows(grain.sources.RandomAccessDataSource):
  """Packed rows of explanation sets, epoch after epoch, as a grain source.

  An epoch has as many visits as there are examples, shared out among the tasks
  by weight and in random order. Each task's visits go through all its examples
  again and again, so that after any number of epochs none has come more than
  once more often than another.
  """

  def __init__(
    self,
    tasks: Sequence[Examples],
    *,
    seed: int,
    capacity: int,
    per_row: int,
    rows: int,
  ):
    """Prepares rows.

    Args:
      tasks: the examples of each task, with vectors of one width; all of them
        have origins, or none has.
      seed: of the order and of the choice of phrasings.
      capacity: tokens of a row.
      per_row: most examples of a row.
      rows: rows of the whole job.

    Raises:
      errors.InputError: if a task has so little weight that it is never seen.
    """
    self._tasks = tasks
    self._seed, self._capacity, self._per_row = seed, capacity, per_row
    self._rows = rows
    self._most = per_row * max(task.most for task in tasks)
    self._origin_length = max(
      (
        len(origin.read)
        for task in tasks
        for origins in task.origins or ()
        for origin in origins
      ),
      default=0,
    )
    total, weight = sum(map(len, tasks)), sum(task.weight for task in tasks)
    self._visits = [round(total * task.weight / weight) for task in tasks]
    for task, visits in zip(tasks, self._visits, strict=True):
      if not visits:
        raise errors.InputError(
          f'task {task.task} has weight {task.weight} of {weight}: expected '
          f'more, of {total} examples an epoch none would be of it'
        )
    # The first row of each epoch, its visits, and which of them a row holds.
    self._epochs: list[tuple[int, list[_Visit], list[list[int]]]] = []
    self._most_answers = 0
    first, planned = self._plan(0)
    answers = [len(self._ids(visit)[1]) for visit in first]
    most = max(sum(answers[i] for i in row) for row in planned)
    longest = max(
      len(ids) for task in tasks for ids in task.questions.answer_ids
    )
    # Logits are formed of no more: what suffices for the first epoch is a limit
    # to the rows of others.
    self._most_answers = packing.rounded(max(most, longest), capacity)

  def __len__(self) -> int:
    return self._rows

  @property
  def most_answers(self) -> int:
    """A of `packing.pack`: tokens of all answers of a row, at most."""
    return self._most_answers

  @property
  def vectors(self) -> int:
    """K: vectors of a row, at most."""
    return self._most

  @property
  def origin_length(self) -> int:
    """T: tokens of a prompt that a vector is from; 0 if none is computed."""
    return self._origin_length

  def _rng(self, purpose: str, epoch: int) -> np.random.Generator:
    return np.random.default_rng(
      [self._seed, zlib.crc32(purpose.encode()), epoch]
    )

  def _visits_of(self, task: int, start: int, end: int) -> list[_Visit]:
    """Returns some visits of a task, counted from the job's beginning."""
    examples, visits = self._tasks[task], []
    for turn in range(start // len(examples), -(-end // len(examples))):
      first = turn * len(examples)
      rng = self._rng(f'order/{examples.task}', turn)
      order = rng.permutation(len(examples)).tolist()
      for example in order[max(0, start - first) : end - first]:
        key = f'{self._seed}/{examples.task}/{example}/{turn}'.encode()
        count = len(examples.questions.question_ids[example])
        visits.append(_Visit(task, example, zlib.crc32(key) % count))
    return visits

  def _ids(self, visit: _Visit) -> tuple[Sequence[int], Sequence[int]]:
    questions = self._tasks[visit.task].questions
    return (
      questions.question_ids[visit.example][visit.phrasing],
      questions.answer_ids[visit.example],
    )

  def _plan(self, epoch: int) -> tuple[list[_Visit], list[list[int]]]:
    visits = [
      visit
      for task, count in enumerate(self._visits)
      for visit in self._visits_of(task, epoch * count, (epoch + 1) * count)
    ]
    lengths = [sum(map(len, self._ids(visit))) for visit in visits]
    answers = [len(self._ids(visit)[1]) for visit in visits]
    order = self._rng('order', epoch).permutation(len(visits)).tolist()
    rows = packing.plan(
      *(lengths, order, self._capacity, self._per_row),
      *(answers, self._most_answers),
    )
    return visits, rows

  def _find(self, counter: int) -> list[_Visit]:
    """Returns what a row holds."""
    end = 0
    for epoch in range(counter + 1):
      if epoch == len(self._epochs):
        self._epochs.append((end, *self._plan(epoch)))
      start, visits, rows = self._epochs[epoch]
      end = start + len(rows)
      if counter < end:
        return [visits[i] for i in rows[counter - start]]
    raise IndexError(counter)

  def __getitem__(self, counter: int) -> dict[str, np.ndarray]:
    """Returns a row.

    Returns:
      The fields of `packing.pack`; `vectors` f32[K, D], those of its examples
      one after the other; and `vector_blocks` i32[K], their layer blocks. Of
      examples with origins those of `origins.arrays` in place of `vectors`.
    """
    visits = self._find(counter)
    asked = [self._ids(visit) for visit in visits]
    row = packing.pack(asked, self._capacity, self._most_answers)
    row['vector_blocks'] = np.zeros(self._most, np.int32)
    start = 0
    for visit in visits:
      examples = self._tasks[visit.task]
      end = start + len(examples.shown[visit.example])
      row['vector_blocks'][start:end] = examples.blocks[visit.example]
      start = end
    return {**row, **self._shown(visits)}

  def _shown(self, visits: list[_Visit]) -> dict[str, np.ndarray]:
    """Returns the vectors of a row, or where they are from."""
    if self._tasks[0].origins is not None:
      found = list[origins_lib.Origin]()
      for visit in visits:
        origins = self._tasks[visit.task].origins
        assert origins is not None  # All have them.
        found += origins[visit.example]
      length = max(1, self._origin_length)
      return origins_lib.arrays(found, self._most, length)
    width = self._tasks[0].vectors.shape[1]
    vectors, start = np.zeros((self._most, width), np.float32), 0
    for visit in visits:
      examples = self._tasks[visit.task]
      shown = examples.shown[visit.example]
      end = start + len(shown)
      if shown:
        vectors[start:end] = examples.vectors[shown]
      start = end
    return {'vectors': vectors}


def batches(
  source: PackedRows, batch: int, done: int
) -> Iterator[feeding.Batch]:
  """Yields the batches that are left after `done` steps of `batch` rows."""
  return feeding.batches(source, batch, done)
