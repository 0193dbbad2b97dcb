# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Questions and answers as token ids, tokenised apart and joined as ids."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Protocol

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib

# Questions are worded with this; tokenizers may have other tokens for it.
VECTOR = tokenizer_lib.VECTOR


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
  chat: bool = False,
  preface: str = '',
) -> Questions:
  """Renders and encodes the questions and answers of records.

  Args:
    rows: N records; of a chat, `system` is its system prompt, if there is one.
    tokenizer: of the explainer.
    wording: how the records are asked.
    phrasings: in which words.
    chat: whether a question is the user's turn and an answer the assistant's.
    preface: text before each question.

  Raises:
    errors.InputError: if a rendered question does not hold as many vector
      tokens as its record has vectors, naming the question; or a word that the
      tokenizer lacks.
  """
  asked = encode_questions(rows, tokenizer, wording, phrasings, chat, preface)
  answers = tokenizer.encode_batch([wording.answer(row) for row in rows])
  end = end_id(tokenizer, chat)
  return Questions(asked, [[*ids, end] for ids in answers])


def encode_questions(
  rows: Sequence[Mapping[str, Any]],
  tokenizer: tokenizer_lib.Tokenizer,
  wording: Wording,
  phrasings: Sequence[str],
  chat: bool = False,
  preface: str = '',
) -> list[list[list[int]]]:
  """Returns the ids of the questions, [N][phrasings]; see `encode`."""
  vector_id = tokenizer.vector_id
  shown = tokenizer.vector_text()
  texts = [
    preface + wording.question(row, p).replace(VECTOR, shown)
    for row in rows
    for p in phrasings
  ]
  encoded = _encode(texts, rows, tokenizer, chat)
  bos = tokenizer.bos_id
  question_ids = []
  for n, row in enumerate(rows):
    part = slice(n * len(phrasings), (n + 1) * len(phrasings))
    expected = len(row['vectors'])
    for ids, text in zip(encoded[part], texts[part], strict=True):
      if ids.count(vector_id) != expected or bos in ids[1:]:
        raise errors.InputError(
          f'question {text!r} has {ids.count(vector_id)} vector tokens: '
          f'expected {expected}, and no BOS but the first token'
        )
    question_ids.append(encoded[part])
  return question_ids


def end_id(tokenizer: tokenizer_lib.Tokenizer, chat: bool) -> int:
  """The token that ends an answer."""
  return tokenizer.end_of_turn_id if chat else tokenizer.eos_id


def _encode(
  texts: Sequence[str],
  rows: Sequence[Mapping[str, Any]],
  tokenizer: tokenizer_lib.Tokenizer,
  chat: bool,
) -> list[list[int]]:
  """Returns the ids of questions, each record's one after the other."""
  if not chat:
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    return [[*bos, *ids] for ids in tokenizer.encode_batch(texts)]
  each = len(texts) // max(len(rows), 1)
  encoded = []
  for n, text in enumerate(texts):
    system = rows[n // each].get('system')
    messages = [{'role': 'system', 'content': system}] if system else []
    messages.append({'role': 'user', 'content': text})
    encoded.append(tokenizer.encode_chat(messages))
  return encoded
