# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Documents of a corpus as prompts, of which every token is dumped."""

import numpy as np

from selfexplain_jax.data import corpora
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib

# One document in so many, the last ones, is held out.
_HELD_OUT = 8


def held_out(count: int) -> int:
  """Returns how many of `count` documents are held out, at the end."""
  return -(-count // _HELD_OUT)


def documents(
  corpus: corpora.Corpus,
  tokenizer: tokenizer_lib.Tokenizer,
  *,
  start: int,
  count: int,
  length: int,
) -> prompts_lib.Prompts:
  """Makes prompts of documents `start`, `start + 1`, … of a corpus.

  They have no position kinds, so all of their tokens but the first are dumped.
  The last eighth is the validation split and the rest is for training. No
  answer is right, and all of them are known.

  Args:
    corpus: the corpus.
    tokenizer: of the corpus.
    start: index of the first document.
    count: number of documents, at least 1.
    length: tokens of each at most.

  Raises:
    errors.InputError: if the corpus has not so many, or one cannot be read.
  """
  read = list(corpora.read(corpus, start, count, length))
  seen = count - held_out(count)
  return prompts_lib.Prompts(
    ids=[document.ids for document in read],
    text=[tokenizer.decode(document.ids) for document in read],
    positions={},
    kind=['document'] * count,
    group=[f'document {start + i}' for i in range(count)],
    split=['train'] * seen + ['validation'] * (count - seen),
    answer=np.full(count, -1, np.int32),
    known=np.ones(count, bool),
    weights=[document.weights for document in read],
  )
