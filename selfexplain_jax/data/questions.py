# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Questions and answers as token ids, tokenised apart and joined as ids."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Protocol

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib


class Wording(Protocol):
  """What of a task's language is needed here; see `tasks.task.Language`."""

  def question(self, record: Mapping[str, Any], phrasing: str) -> str:
    """Renders the question of a record."""
    ...

  def answer(self, record: Mapping[str, Any]) -> str:
    """Renders the answer of a record."""
    ...


@dataclasses.dataclass(frozen=True)
class Questions:
  """Every phrasing of the questions of N records, and their answers.

  Attributes:
    question_ids: [N][phrasings], ids of each question, BOS included.
    answer_ids: [N], ids of each answer, the end token included.
  """

  question_ids: Sequence[Sequence[Sequence[int]]]
  answer_ids: Sequence[Sequence[int]]


def encode(
  rows: Sequence[Mapping[str, Any]],
  tokenizer: tokenizer_lib.Tokenizer,
  wording: Wording,
  phrasings: Sequence[str],
) -> Questions:
  """Renders and encodes the questions and answers of records.

  Raises:
    errors.InputError: if a rendered question does not hold as many vector
      tokens as its record has vectors, naming the question; or a word that the
      tokenizer lacks.
  """
  vector_id = tokenizer.vector_id
  question_ids = []
  texts = [wording.question(row, p) for row in rows for p in phrasings]
  encoded = tokenizer.encode_batch(texts)
  bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
  for n, row in enumerate(rows):
    start = n * len(phrasings)
    own = [[*bos, *ids] for ids in encoded[start : start + len(phrasings)]]
    expected = len(row['vectors'])
    for ids, text in zip(own, texts[start:], strict=False):
      if ids.count(vector_id) != expected or any(ids[1:].count(b) for b in bos):
        raise errors.InputError(
          f'question {text!r} has {ids.count(vector_id)} vector tokens: '
          f'expected {expected}, and no BOS but the first token'
        )
    question_ids.append(own)
  answers = tokenizer.encode_batch([wording.answer(row) for row in rows])
  answer_ids = [[*ids, tokenizer.eos_id] for ids in answers]
  return Questions(question_ids, answer_ids)
