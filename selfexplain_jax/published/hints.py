# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads published input ablation data: parquet files (method E.1)."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from etils import epath
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.published import sources

WHAT = 'a parquet file of input ablation, as published'

_TEXTS = (
  'question',
  'zeroshot_prediction',
  'random_hint_prediction',
  'original_prompt_full',
  'hint_prompt_full',
  'system_prompt',
  'original_user_prompt',
  'hint_user_prompt',
)
# `ablation_prompt` is left alone: it holds the answer.
_SCHEMA = pa.schema(
  [
    *((name, pa.string()) for name in _TEXTS),
    sources.optional('changed_pred_bc_hint', pa.bool_()),
  ]
)


@dataclasses.dataclass(frozen=True)
class Hinted:
  """A row: a question with and without its hint, and what the target said.

  Attributes:
    where: file and row, for errors.
    question: without its choices.
    system: the system's prompt.
    hinted_user: what the user says, the hint in it.
    plain_user: the same without it.
    hinted_prompt: the whole chat as the target read it, the hint in it.
    plain_prompt: the same without it.
    hinted_answer: what the target answers with the hint, such as 'B'.
    plain_answer: what it answers without.
    changed: whether these differ; None where the file does not say so.
  """

  where: str
  question: str
  system: str
  hinted_user: str
  plain_user: str
  hinted_prompt: str
  plain_prompt: str
  hinted_answer: str
  plain_answer: str
  changed: bool | None


def read(name: epath.Path) -> Iterator[Hinted]:
  """Yields the rows of a file.

  Raises:
    errors.InputError: if the file is damaged, or a row makes no sense, naming
      the row and the column.
  """
  for start, batch in sources.batches(name, _SCHEMA, WHAT):
    for n, row in enumerate(batch.to_pylist()):
      yield _hinted(sources.place(name, start + n), row)


def _hinted(where: str, row: dict[str, Any]) -> Hinted:
  """Checks a row."""
  for column in _TEXTS:
    # Only the system may have nothing to say.
    if not row[column].strip() and column != 'system_prompt':
      raise errors.InputError(f'{where}: {column} is empty: expected a text')
  for kind in ('hint', 'original'):
    whole, user = row[f'{kind}_prompt_full'], row[f'{kind}_user_prompt']
    # Templates take the white space around a message away.
    if user.strip() not in whole:
      raise errors.InputError(
        f'{where}: {kind}_prompt_full does not hold {kind}_user_prompt: '
        'expected the chat in which the user says that'
      )
  if row['hint_user_prompt'] == row['original_user_prompt']:
    raise errors.InputError(
      f'{where}: hint_user_prompt is original_user_prompt: expected a hint in '
      'it'
    )
  return Hinted(
    where=where,
    question=row['question'],
    system=row['system_prompt'],
    hinted_user=row['hint_user_prompt'],
    plain_user=row['original_user_prompt'],
    hinted_prompt=row['hint_prompt_full'],
    plain_prompt=row['original_prompt_full'],
    hinted_answer=row['random_hint_prediction'].strip(),
    plain_answer=row['zeroshot_prediction'].strip(),
    changed=row['changed_pred_bc_hint'],
  )
