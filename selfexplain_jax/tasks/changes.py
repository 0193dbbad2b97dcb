# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What questions about changed outputs have in common, whatever was done.

Their answers are one of the two sentences of `fidelity.claims` (method A.2 and
A.3), and their records say what the target does without and with the treatment.
"""

from collections.abc import Iterable, Mapping, Sequence
import re
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib

Record = Mapping[str, Any]

SCHEMA = pa.schema(
  [
    *explanations.COMMON,
    ('prompt_kind', pa.string()),
    ('prompt_ids', pa.list_(pa.int32())),
    ('text', pa.string()),
    ('system', pa.string()),
    ('content_prefix', pa.string()),
    ('clean_id', pa.int32()),
    ('treated_id', pa.int32()),
    ('clean_token', pa.string()),
    ('treated_token', pa.string()),
    ('clean_margin', pa.float32()),
    ('treated_margin', pa.float32()),
    ('changed', pa.bool_()),
    ('balanced', pa.bool_()),
  ]
)


def answer(record: Record) -> str:
  """Renders the answer of a record from its effect."""
  changed = record['changed']
  token = record['treated_token' if changed else 'clean_token']
  return claims.render(changed, content(record, token))


def content(record: Record, token: str) -> str:
  """Returns what a claim says of an output token.

  Records may say what the target was made to begin its answer with. A token
  that would close the claim is spaced out.
  """
  spaced = token.replace('>>>', '> > >')
  return f'{record.get("content_prefix") or ""}{spaced}'


def right(said: str, record: Record) -> bool:
  """Whether an answer makes the claim that the record's own makes."""
  claim, expected = claims.parse(said), claims.parse(record['answer'])
  return claim is not None and expected is not None and claim.matches(expected)


def examples(records: Sequence[Record]) -> list[str]:
  """The answers of the first unchanged and the first changed record."""
  changed = np.array([record['changed'] for record in records], bool)
  return [
    records[int(np.argmax(changed == verdict))]['answer']
    for verdict in (False, True)
  ]


def plain_words(texts: Iterable[str]) -> set[str]:
  """The plain words of texts, but for fields such as `{layers}`."""
  plain = re.sub(r'\{\w+\}', ' ', ' '.join(texts))
  return set(re.findall(r'[A-Za-z]+', plain))


def words(phrasings: Iterable[str]) -> set[str]:
  """The plain words of phrasings and of both answers."""
  answers = (claims.render(changed, '') for changed in (True, False))
  return plain_words([*phrasings, *answers])


def effect(
  tokenizer: tokenizer_lib.Tokenizer,
  clean: effects_lib.Effects,
  treated: effects_lib.Effects,
  clean_row: int,
  treated_row: int,
) -> dict[str, Any]:
  """Returns the columns that say what happened to one record."""
  before, after = int(clean.token[clean_row]), int(treated.token[treated_row])
  return {
    'clean_id': before,
    'treated_id': after,
    'clean_token': tokenizer.text(before),
    'treated_token': tokenizer.text(after),
    'clean_margin': float(clean.margin[clean_row]),
    'treated_margin': float(treated.margin[treated_row]),
    'changed': before != after,
    'system': None,
    'content_prefix': '',
  }


def published_effect(
  tokenizer: tokenizer_lib.Tokenizer, clean: int, treated: int
) -> dict[str, Any]:
  """Returns the same columns for tokens that others saw, without margins."""
  return {
    'clean_id': clean,
    'treated_id': treated,
    'clean_token': tokenizer.text(clean),
    'treated_token': tokenizer.text(treated),
    'clean_margin': None,
    'treated_margin': None,
    'changed': clean != treated,
    'system': None,
    'content_prefix': '',
  }
