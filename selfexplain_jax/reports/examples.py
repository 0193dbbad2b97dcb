# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The claims that a report shows, each beside what re-running showed."""

from collections.abc import Mapping, Sequence
import itertools
from typing import Any
import zlib

import numpy as np

from selfexplain_jax.reports import wording

LIMIT = 400

# Raw answers without a claim can be as long as a model likes.
_LONGEST = 200

# Columns of predictions that entries need besides those of all tasks.
COLUMNS = {
  'patching': ('position', 'token_text', 'counterfactual_text'),
  'ablation': ('start', 'span_text', 'replacement_text'),
}

# A row of predictions.parquet.
Row = Mapping[str, Any]


def choose(rows: Sequence[Row], seed: int, limit: int = LIMIT) -> list[Row]:
  """Chooses claims of one arm, right and wrong, from all kinds of cells.

  Goes round the strata (place x treatment x right or wrong) and takes one
  claim of each that has any left, in an order drawn for each record alone.

  Args:
    rows: the predictions of one arm.
    seed: of the draw.
    limit: how many to take at most.

  Returns:
    The claims in the order taken, so that any first part is a mixture too.
  """
  strata: dict[tuple[str, str, bool], list[Row]] = {}
  for row in sorted(rows, key=lambda row: _draw(row['record'], seed)):
    stratum = (row['place'], row['treatment'], row['exact'])
    strata.setdefault(stratum, []).append(row)
  rounds = itertools.zip_longest(*(strata[key] for key in sorted(strata)))
  taken = (row for turn in rounds for row in turn if row is not None)
  return list(itertools.islice(taken, limit))


def _draw(record: int, seed: int) -> float:
  purpose = zlib.crc32(b'report examples')
  return np.random.default_rng([seed, purpose, record]).random()


def entry(
  row: Row, others: Mapping[str, Row], task: wording.Task
) -> dict[str, Any]:
  """Returns what is shown of a claim, as text by field.

  Args:
    row: the claim.
    others: for other arms, their claims about the same record.
    task: what was asked.
  """
  before, token, after = _marked(row, task)
  clean, treated = row['clean_token'], row['treated_token']
  return {
    'right': bool(row['exact']),
    'outcome': outcome(row),
    'kind': wording.plain(row['place']),
    'block': row['treatment'],
    'changed': bool(row['changed']),
    'said': {0: 'unchanged', 1: 'changed'}.get(row['claimed'], 'neither'),
    'before': before,
    'token': token,
    'after': after,
    'done': _done(row, task),
    'claim': claim(row),
    'shown': f'changed from “{clean}” to “{treated}”'
    if row['changed']
    else f'stayed “{clean}”',
    **{
      arm: f'{"✓" if other["exact"] else "✗"} {claim(other)}'
      for arm, other in others.items()
    },
  }


def _marked(row: Row, task: wording.Task) -> tuple[str, str, str]:
  """Splits the text around what was treated."""
  if task.name == 'patching':
    return around(row['text'], row['token_text'], row['position'])
  return around(row['text'], row['span_text'], row['start'])


def _done(row: Row, task: wording.Task) -> str:
  """Says what was done, and with what."""
  kind, treatment = wording.plain(row['place']), row['treatment']
  if task.name == 'patching':
    return (
      f'at {kind} “{row["token_text"]}”, layers {treatment}; vector from: '
      f'{row["counterfactual_text"]}'
    )
  if row['replacement_text']:
    return (
      f'{kind} “{row["span_text"]}” {treatment} by “{row["replacement_text"]}”'
    )
  return f'{kind} “{row["span_text"]}” {treatment}'


def outcome(row: Row) -> str:
  """Says how a claim compares with what happened."""
  if row['exact']:
    return '✓ right'
  if row['claimed'] not in (0, 1):
    return '✗ invalid'
  if row['claimed'] == row['changed']:
    return '✗ wrong content'
  return '✗ wrong verdict'


def claim(row: Row) -> str:
  """Says what an answer claims, or quotes it where it makes no claim."""
  content = row['claimed_content']
  if row['claimed'] == 1:
    return f'changes to “{content}”'
  if row['claimed'] == 0:
    return f'stays “{content}”'
  output = row['output']
  quoted = output if len(output) <= _LONGEST else f'{output[:_LONGEST]}…'
  return f'no claim: “{quoted}”'


def around(text: str, part: str, position: int) -> tuple[str, str, str]:
  """Splits a text around a part of it.

  Args:
    text: the prompt.
    part: the part's text.
    position: the absolute position of its first token, BOS counted: where
      tokens are words, it begins with word `position - 1`.

  Returns:
    What comes before, the part, and what comes after. Where it cannot be told
    which of several equal pieces of the text it is, all comes before.
  """
  words, index, length = text.split(' '), position - 1, len(part.split(' '))
  if 0 <= index and words[index : index + length] == part.split(' '):
    before = ' '.join([*words[:index], ''])
    return before, part, text[len(before) + len(part) :]
  if part and text.count(part) == 1:
    return text.partition(part)
  return text, '', ''
