# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Documents of a corpus as prompts, of which every token is dumped."""

from collections.abc import Callable, Mapping

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib

# One document in so many, the last ones, is held out.
_HELD_OUT = 8


def held_out(count: int) -> int:
  """Returns how many of `count` documents are held out, at the end."""
  return -(-count // _HELD_OUT)


def documents(
  row: Callable[[int], Mapping[str, np.ndarray]],
  tokenizer: tokenizer_lib.Tokenizer,
  *,
  start: int,
  count: int,
) -> prompts_lib.Prompts:
  """Makes prompts of rows `start`, `start + 1`, … of a corpus.

  They have no position kinds, so all of their tokens but the first are dumped.
  The last eighth is the validation split and the rest is for training. No
  answer is right, and all of them are known.

  Args:
    row: maps an index of the corpus to a row whose `tokens` i32[T] begin with
      BOS; all rows are equally long.
    tokenizer: of the corpus.
    start: index of the first row.
    count: number of rows, at least 1.
  """
  ids = [row(start + i)['tokens'].tolist() for i in range(count)]
  seen = count - held_out(count)
  return prompts_lib.Prompts(
    ids=ids,
    text=[tokenizer.decode(one[1:]) for one in ids],
    positions={},
    kind=['document'] * count,
    group=[f'document {start + i}' for i in range(count)],
    split=['train'] * seen + ['validation'] * (count - seen),
    answer=np.full(count, -1, np.int32),
    known=np.ones(count, bool),
  )
