# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Questions in the form of MMLU (Hendrycks et al., 2021): one of four is right.

A record has `question`, four `choices` and the `answer`, as an index from 0 or
as a letter; and maybe `subject`, the field of knowledge.
"""

from typing import Any, NamedTuple

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import row_files

LETTERS = ('A', 'B', 'C', 'D')


class Question(NamedTuple):
  """A question.

  Attributes:
    question: what is asked.
    choices: four answers.
    answer: index of the right one.
    subject: field of knowledge; empty if none is named.
  """

  question: str
  choices: tuple[str, ...]
  answer: int
  subject: str

  @property
  def digest(self) -> str:
    """Tells it from questions that ask something else."""
    return files.digest_json([self.question, self.choices])[:16]


def read(
  pattern: str, field: str
) -> tuple[list[Question], list[dict[str, Any]]]:
  """Reads questions, each once.

  Args:
    pattern: files, see `row_files.read`.
    field: of the config, that names them.

  Returns:
    The questions, and what tells the files from others.

  Raises:
    errors.InputError: if a file is damaged, or a record lacks what is read.
  """
  rows, notes = row_files.read(pattern, field)
  found: dict[str, Question] = {}
  for row in rows:
    question = _question(row)
    found.setdefault(question.digest, question)
  return list(found.values()), notes


def _question(row: row_files.Row) -> Question:
  """Reads and checks one question."""
  choices = row_files.value(row, 'choices')
  if not isinstance(choices, list) or len(choices) != len(LETTERS):
    count = len(choices) if isinstance(choices, list) else repr(choices)
    raise errors.InputError(
      f'{row.place} has {count} choices: expected {len(LETTERS)}'
    )
  for choice in choices:
    if not isinstance(choice, str):
      raise errors.InputError(
        f'{row.place} has the choice {choice!r}: expected a text'
      )
  subject = row.fields.get('subject') or ''
  if not isinstance(subject, str):
    raise errors.InputError(
      f'{row.place} has the subject {subject!r}: expected a text'
    )
  return Question(
    question=row_files.text(row, 'question').strip(),
    choices=tuple(choice.strip() for choice in choices),
    answer=_answer(row),
    subject=subject,
  )


def _answer(row: row_files.Row) -> int:
  """The index of the right choice, which may be written as its letter."""
  found = row_files.value(row, 'answer')
  if isinstance(found, str) and found in LETTERS:
    return LETTERS.index(found)
  whole = isinstance(found, int) and not isinstance(found, bool)
  if not whole or not 0 <= found < len(LETTERS):
    raise errors.InputError(
      f'{row.place} has the answer {found!r}: expected 0 to '
      f'{len(LETTERS) - 1}, or a letter from {LETTERS[0]} to {LETTERS[-1]}'
    )
  return found
