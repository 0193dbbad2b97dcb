# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Packing: several examples in a row, each blind to the others."""

from collections.abc import Sequence

import numpy as np

from selfexplain_jax import errors

_OPEN_ROWS = 32  # Rows that wait for an example that fits.


def plan(
  lengths: Sequence[int], order: Sequence[int], capacity: int, per_row: int
) -> list[list[int]]:
  """Plans which examples share a row: first fit among the rows still open.

  Args:
    lengths: tokens of each example; none above `capacity`.
    order: indices of the examples, in the order in which they are placed.
    capacity: tokens of a row.
    per_row: most examples of a row.

  Returns:
    The examples of each row, every one of `order` once.

  Raises:
    errors.InputError: if an example is longer than a row.
  """
  rows: list[list[int]] = []
  waiting: list[tuple[int, list[int]]] = []  # tokens left, and the row
  for example in order:
    length = lengths[example]
    if length > capacity:
      raise errors.InputError(
        f'example {example} has {length} tokens: expected at most {capacity}, '
        'the length of a row'
      )
    for i, (left, row) in enumerate(waiting):
      if length <= left:
        row.append(example)
        waiting[i] = (left - length, row)
        if len(row) == per_row:
          del waiting[i]
        break
    else:
      row = [example]
      rows.append(row)
      if per_row > 1:
        waiting.append((capacity - length, row))
      if len(waiting) > _OPEN_ROWS:
        waiting.pop(0)
  return rows


def pack(
  examples: Sequence[tuple[Sequence[int], Sequence[int]]], capacity: int
) -> dict[str, np.ndarray]:
  """Packs examples into one row.

  Args:
    examples: question ids and answer ids of each.
    capacity: tokens of the row.

  Returns:
    `tokens`, `segments` (1, 2, … by example; 0 is padding), `positions` (from 0
    in each segment), each i32[capacity], and `weights`, f32[capacity]: 1 where
    the next token is one of the answer.
  """
  tokens = np.zeros(capacity, np.int32)
  segments = np.zeros(capacity, np.int32)
  positions = np.zeros(capacity, np.int32)
  weights = np.zeros(capacity, np.float32)
  start = 0
  for number, (question, answer) in enumerate(examples, 1):
    answer_start = start + len(question)
    end = answer_start + len(answer)
    tokens[start:end] = [*question, *answer]
    segments[start:end] = number
    positions[start:end] = np.arange(end - start)
    weights[answer_start - 1 : end - 1] = 1.0
    start = end
  return {
    'tokens': tokens,
    'segments': segments,
    'positions': positions,
    'weights': weights,
  }
