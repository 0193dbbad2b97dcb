# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Replay: rows of what the explainer was pretrained on, beside the questions.

That is the corpus of its own initial model, or the one that its configuration
names (`corpora.named`).

Explainers forget what they knew about people that no question names; replaying
their own corpus keeps it.
"""

from collections.abc import Callable, Iterator
import functools
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax import errors
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

  Rows that it was pretrained on come again, from the first one.

  Args:
    config: of the explainer; `replay.batch` rows a step, 0 for no replay.
    tokenizer: the explainer's.

  Raises:
    errors.InputError: if the corpus has not enough documents.
  """
  if not config.replay.batch:
    return None
  corpus = corpora.named(config, config.initial, tokenizer)
  wanted = config.replay.batch * config.steps
  found = corpus.count(wanted)
  if found < wanted:
    raise errors.InputError(
      f'{corpus.name} has {found} documents: expected at least {wanted}, '
      f'replay.batch={config.replay.batch} for each of {config.steps} steps'
    )
  row = functools.partial(corpora.row, corpus, config.row_length)
  return functools.partial(
    language_modelling.batches, row, config.replay.batch, config.steps
  )


def text(
  config: ml_collections.ConfigDict,
  tokenizer: tokenizer_lib.Tokenizer,
  rows_: int,
) -> tuple[np.ndarray, np.ndarray]:
  """The first documents of what the initial model was pretrained on.

  Args:
    config: of the explainer.
    tokenizer: the explainer's.
    rows_: how many, R.

  Returns:
    Their tokens, i32[R, T], and which of these are no padding, bool[R, T].
  """
  corpus = corpora.named(config, config.initial, tokenizer)
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
