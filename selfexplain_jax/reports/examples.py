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

# A row of predictions.parquet.
Row = Mapping[str, Any]


def choose(rows: Sequence[Row], seed: int, limit: int = LIMIT) -> list[Row]:
  """Chooses claims of one arm, right and wrong, from all kinds of cells.

  Goes round the strata (position kind x layers x right or wrong) and takes one
  claim of each that has any left, in an order drawn for each record alone.

  Args:
    rows: the predictions of one arm.
    seed: of the draw.
    limit: how many to take at most.

  Returns:
    The claims in the order taken, so that any first part is a mixture too.
  """
  strata: dict[tuple[str, int, int, bool], list[Row]] = {}
  for row in sorted(rows, key=lambda row: _draw(row['record'], seed)):
    stratum = (
      row['position_kind'],
      row['first_layer'],
      row['last_layer'],
      row['exact'],
    )
    strata.setdefault(stratum, []).append(row)
  rounds = itertools.zip_longest(*(strata[key] for key in sorted(strata)))
  taken = (row for turn in rounds for row in turn if row is not None)
  return list(itertools.islice(taken, limit))


def _draw(record: int, seed: int) -> float:
  purpose = zlib.crc32(b'report examples')
  return np.random.default_rng([seed, purpose, record]).random()


def entry(row: Row, others: Mapping[str, Row]) -> dict[str, Any]:
  """Returns what is shown of a claim, as text by field.

  Args:
    row: the claim.
    others: for other arms, their claims about the same record.
  """
  before, token, after = around_token(
    row['text'], row['token_text'], row['position']
  )
  clean, patched = row['clean_token'], row['patched_token']
  return {
    'right': bool(row['exact']),
    'outcome': outcome(row),
    'kind': wording.plain(row['position_kind']),
    'block': row['block'],
    'changed': bool(row['changed']),
    'before': before,
    'token': token,
    'after': after,
    'replaced': row['token_text'],
    'source': row['counterfactual_text'],
    'claim': claim(row),
    'shown': f'changed from “{clean}” to “{patched}”'
    if row['changed']
    else f'stayed “{clean}”',
    **{
      arm: f'{"✓" if other["exact"] else "✗"} {claim(other)}'
      for arm, other in others.items()
    },
  }


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


def around_token(text: str, token: str, position: int) -> tuple[str, str, str]:
  """Splits a text around the token that was patched.

  Args:
    text: the prompt.
    token: the token's text.
    position: its absolute position, BOS counted: where tokens are words, it is
      word `position - 1`.

  Returns:
    What comes before, the token, and what comes after. Where it cannot be told
    which of several equal pieces of the text it is, all comes before.
  """
  words, index = text.split(' '), position - 1
  if 0 <= index < len(words) and words[index] == token:
    before = ' '.join([*words[:index], ''])
    return before, token, text[len(before) + len(token) :]
  if token and text.count(token) == 1:
    return text.partition(token)
  return text, '', ''
