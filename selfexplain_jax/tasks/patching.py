# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Activation patching as a question: what does this vector do there?

The question names the text, the token and the layers, and shows the vector
where it is put: in a second copy of the text, in the token's place. So the
explainer can read the patched text as the target did. Answers are one of the
two sentences of `fidelity.claims` (method A.2).
"""

from collections.abc import Mapping
import re
from typing import Any

from selfexplain_jax.fidelity import claims
from selfexplain_jax.models import tokenizer as tokenizer_lib

NAME = 'patching'

# The vector between its two neighbours (method B.1), by which it is found: its
# own embedding is never the same twice.
VECTOR = ' '.join(
  tokenizer_lib.SPECIAL_TOKENS[f'vector{part}_token']
  for part in ('_begin', '', '_end')
)

# One is drawn for each visit of an example; evaluation always takes the first.
PHRASINGS = (
  '<<<{text}>>> <{token}> layers {layers} becomes <<<{patched}>>>. '
  'What comes next?',
  'Text: <<<{text}>>>. Patched <{token}> at {layers}: <<<{patched}>>>. '
  'What happens?',
  'In <<<{text}>>> put <{token}> layers {layers} to give <<<{patched}>>>. '
  'What output?',
  'Suppose <<<{text}>>> is replaced at layers {layers}, <{token}>: '
  '<<<{patched}>>>. Does the output change?',
  '<<<{text}>>> when <{token}> is patched at {layers}: <<<{patched}>>>. '
  'How does the output change?',
)


def layers_text(first: int, last: int) -> str:
  """Writes a block of layers: '3', or '2 to 4'."""
  return str(first) if first == last else f'{first} to {last}'


def question(record: Mapping[str, Any], phrasing: str) -> str:
  """Renders the question of a record.

  Args:
    record: a record of an explanation set: `text`, `before`, `token_text`,
      `after`, `first_layer` and `last_layer`.
    phrasing: one of `PHRASINGS`, or of a user's own with the same fields; the
      vector must occur in it once, through {patched} or {vector}.
  """
  pieces = (record['before'], VECTOR, record['after'])
  return phrasing.format(
    text=record['text'],
    token=record['token_text'],
    layers=layers_text(record['first_layer'], record['last_layer']),
    patched=' '.join(piece for piece in pieces if piece),
    vector=VECTOR,
  )


def answer(record: Mapping[str, Any]) -> str:
  """Renders the answer of a record from its effect."""
  changed = record['changed']
  return claims.render(
    changed, record['patched_token' if changed else 'clean_token']
  )


def words(layers: int) -> tuple[str, ...]:
  """Every word of the questions and answers but those of texts and tokens."""
  texts = [*PHRASINGS, claims.render(True, ''), claims.render(False, '')]
  plain = re.findall(r'[A-Za-z]+', re.sub(r'\{\w+\}', ' ', ' '.join(texts)))
  return tuple(sorted({*plain, 'to', *(str(i) for i in range(layers))}))
