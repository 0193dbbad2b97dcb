# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The questions of an evaluation, and what controls put in place of them."""

import dataclasses
import functools
from typing import Any

import numpy as np

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import controls
from selfexplain_jax.tasks import task as task_lib


@dataclasses.dataclass(frozen=True)
class Asked:
  """The questions of an evaluation.

  Attributes:
    task: their type.
    explained: the explanation set.
    chosen: i64[N], the records asked about.
    train: i64[M], the records that controls may learn from.
    seed: of the shuffling.
  """

  task: task_lib.Task
  explained: explanations.ExplanationSet
  chosen: np.ndarray
  train: np.ndarray
  seed: int

  @property
  def rows(self) -> list[dict[str, Any]]:
    """The records asked about."""
    return [self.explained.rows[i] for i in self.chosen]

  @functools.cached_property
  def vectors(self) -> np.ndarray:
    """The real vectors, f32[N, K, D]."""
    return self.explained.shown(self.chosen)

  @property
  def shows_vectors(self) -> bool:
    """Whether there are any."""
    return any(row['vectors'] for row in self.rows)

  def shuffled(self) -> np.ndarray:
    """The vectors permuted within place and treatment, f32[N, K, D]."""
    records = columns(self.explained, self.chosen)
    return self.vectors[controls.permute_within(records, self.seed)]

  def same_when_shuffled(self) -> int:
    """How many records get vectors equal to their own in the control.

    A record alone in its cell does, and one whose vector comes from a prompt
    that is equal up to there.
    """
    return int(np.sum(np.all(self.shuffled() == self.vectors, (1, 2))))

  def same_answer_when_shuffled(self) -> int:
    """How many get vectors of a record with their own answer, theirs included.

    Whoever is right with those may read them all the same.
    """
    order = controls.permute_within(
      columns(self.explained, self.chosen), self.seed
    )
    answers = np.array([row['answer'] for row in self.rows])
    return int(np.sum((answers[order] == answers) & (answers != '')))

  def misplaced(self) -> list[task_lib.Record]:
    """The records, each asked about the layers of another; none if none are.

    Which of the layers that others are about, and not its own, is drawn from
    the seed.
    """
    language, rows = self.task.language, self.rows
    layers = [language.layers(row) for row in rows]
    order = controls.shuffled_order(len(rows), self.seed, 'wrong_layer')
    by_layers = {layers[i]: i for i in order}  # One record for each block.
    blocks = sorted(by_layers)
    if len(blocks) < 2:
      return []
    asked = []
    for n, row in enumerate(rows):
      others = [block for block in blocks if block != layers[n]]
      other = rows[by_layers[others[int(order[n]) % len(others)]]]
      found = language.misplaced(row, other)
      if found is not None:
        asked.append(found)
    return asked


def columns(
  explained: explanations.ExplanationSet, chosen: np.ndarray
) -> dict[str, Any]:
  """Returns the records of some rows as columns, for `fidelity.controls`."""
  table_ = explained.records.take(chosen)
  result = {name: table_[name].to_pylist() for name in table_.column_names}
  if 'changed' in result:
    result['changed'] = np.array(result['changed'], bool)
    result['prompt_length'] = [len(ids) for ids in result['prompt_ids']]
  return result
