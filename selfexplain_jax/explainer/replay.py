# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Replay: rows of what the explainer was pretrained on, beside the questions.

Explainers forget what they knew about people that no question names; replaying
their own corpus keeps it.
"""

from collections.abc import Callable, Iterator
import functools
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax.data import corpora
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.training import language_modelling

Row = dict[str, np.ndarray]
Batch = dict[str, Any]


def rows(
  config: ml_collections.ConfigDict, tokenizer: tokenizer_lib.Tokenizer
) -> Callable[[int], Iterator[Batch]] | None:
  """Returns what yields the replayed batches after so many steps.

  The corpus is that of the explainer's own initial model; rows that it was
  pretrained on come again, from the first one.

  Args:
    config: of the explainer; `replay.batch` rows a step, 0 for no replay.
    tokenizer: the explainer's.
  """
  if not config.replay.batch:
    return None
  corpus = corpora.of_model(config.initial, tokenizer)
  row = functools.partial(corpora.row, corpus, config.row_length)
  return functools.partial(
    language_modelling.batches, row, config.replay.batch, config.steps
  )


def text(
  config: ml_collections.ConfigDict,
  tokenizer: tokenizer_lib.Tokenizer,
  rows_: int,
) -> tuple[np.ndarray, np.ndarray]:
  """The first documents of the corpus of the initial model.

  Args:
    config: of the explainer.
    tokenizer: the explainer's.
    rows_: how many, R.

  Returns:
    Their tokens, i32[R, T], and which of these are no padding, bool[R, T].
  """
  corpus = corpora.of_model(config.initial, tokenizer)
  read = corpora.read(corpus, 0, rows_, config.row_length)
  tokens, length = prompts_lib.pad([document.ids for document in read])
  return tokens, np.arange(tokens.shape[1]) < length[:, None]


def mixed(
  explained: Callable[[int], Iterator[Batch]],
  replayed: Callable[[int], Iterator[Batch]] | None,
  done: int,
) -> Iterator[Batch]:
  """Yields batches of questions, each with its batch of replayed rows."""
  if replayed is None:
    yield from explained(done)
    return
  for batch, rows_ in zip(explained(done), replayed(done), strict=True):
    yield {**batch, 'replay': rows_}
