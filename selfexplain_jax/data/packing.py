# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Packing: several examples in a row, each blind to the others."""

from collections.abc import Sequence

import numpy as np

from selfexplain_jax import errors

_OPEN_ROWS = 32  # Rows that wait for an example that fits.
_ANSWER_STEP = 8  # Of what is static in a program.


def plan(
  lengths: Sequence[int],
  order: Sequence[int],
  capacity: int,
  per_row: int,
  answers: Sequence[int] = (),
  most: int = 0,
) -> list[list[int]]:
  """Plans which examples share a row: first fit among the rows still open.

  Args:
    lengths: tokens of each example; none above `capacity`.
    order: indices of the examples, in the order in which they are placed.
    capacity: tokens of a row.
    per_row: most examples of a row.
    answers: tokens of each example's answer; none above `most`.
    most: tokens of all answers of a row; 0 for no limit.

  Returns:
    The examples of each row, every one of `order` once.

  Raises:
    errors.InputError: if an example is longer than a row.
  """
  rows: list[list[int]] = []
  # Tokens left, those of them that answers may have, and the row.
  waiting: list[tuple[int, int, list[int]]] = []
  for example in order:
    length = lengths[example]
    if length > capacity:
      raise errors.InputError(
        f'example {example} has {length} tokens: expected at most {capacity}, '
        'the length of a row'
      )
    answer = answers[example] if most else 0
    for i, (left, for_answers, row) in enumerate(waiting):
      if length <= left and answer <= for_answers:
        row.append(example)
        waiting[i] = (left - length, for_answers - answer, row)
        if len(row) == per_row:
          del waiting[i]
        break
    else:
      row = [example]
      rows.append(row)
      if per_row > 1:
        waiting.append((capacity - length, most - answer, row))
      if len(waiting) > _OPEN_ROWS:
        waiting.pop(0)
  return rows


def rounded(answers: int, capacity: int) -> int:
  """Rounds up the tokens of a row that are of answers, so that few differ."""
  return min(-(-answers // _ANSWER_STEP) * _ANSWER_STEP, capacity)


def pack(
  examples: Sequence[tuple[Sequence[int], Sequence[int]]],
  capacity: int,
  most: int,
) -> dict[str, np.ndarray]:
  """Packs examples into one row.

  Args:
    examples: question ids and answer ids of each.
    capacity: tokens of the row.
    most: A, tokens of all answers of a row.

  Returns:
    `tokens`, `segments` (1, 2, … by example; 0 is padding), `positions` (from 0
    in each segment), each i32[capacity], and `answers`, i32[A]: the places of
    the row whose next token is one of an answer, and -1 for none.
  """
  tokens = np.zeros(capacity, np.int32)
  segments = np.zeros(capacity, np.int32)
  positions = np.zeros(capacity, np.int32)
  answers: list[int] = []
  start = 0
  for number, (question, answer) in enumerate(examples, 1):
    answer_start = start + len(question)
    end = answer_start + len(answer)
    tokens[start:end] = [*question, *answer]
    segments[start:end] = number
    positions[start:end] = np.arange(end - start)
    answers += range(answer_start - 1, end - 1)
    start = end
  return {
    'tokens': tokens,
    'segments': segments,
    'positions': positions,
    'answers': np.array(answers + [-1] * (most - len(answers)), np.int32),
  }
