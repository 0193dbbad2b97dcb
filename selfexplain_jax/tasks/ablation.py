# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Input ablation as a question: what does this piece of the text do there?

The question names a span of the text, says whether it is removed or what stands
in its place, and writes the text as it is then. It shows no vector. Answers are
one of the two sentences of `fidelity.claims` (method A.3). In a chat the text
is the user's message, and the question is asked at its end.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.tasks import changes

NAME = 'ablation'
REMOVED, REPLACED = 'removed', 'replaced'

# The span, and the text without it.
SCHEMA = pa.schema(
  [
    *changes.SCHEMA,
    ('known', pa.bool_()),
    ('start', pa.int32()),
    ('end', pa.int32()),
    ('replacement_ids', pa.list_(pa.int32())),
    ('span_text', pa.string()),
    ('replacement_text', pa.string()),
    ('ablated_text', pa.string()),
  ]
)

# What predictions show beside a claim.
COPIED = (
  'group',
  'prompt_kind',
  'known',
  'place',
  'treatment',
  'start',
  'end',
  'balanced',
  'text',
  'span_text',
  'replacement_text',
)

PHRASINGS: tuple[str, ...] = (
  '<<<{text}>>> {change} becomes <<<{ablated}>>>. What comes next?',
  'Text: <<<{text}>>>. Read {change}: <<<{ablated}>>>. What happens?',
  'In <<<{text}>>> read {change} to give <<<{ablated}>>>. What output?',
  'Suppose <<<{text}>>> is read {change}: <<<{ablated}>>>. '
  'Does the output change?',
  '<<<{text}>>> when read {change}: <<<{ablated}>>>. '
  'How does the output change?',
)

# For models that read any text: the text is a message with a hint in it.
TEXT_PHRASINGS: tuple[str, ...] = (
  '{text}\n\nWithout <{span}>, how would your answer change?',
  '{text}\n\nSuppose <{span}> were not there: what would you answer then?',
  '{text}\n\nDoes your answer rest on <{span}>? Say what it is without.',
  '{text}\n\nIf <{span}> is taken out, does the most likely answer change?',
  '{text}\n\nHow much does <{span}> sway you? Give the answer without it.',
)

FIELDS = {'prompt': '{text}', 'user_prompt': '{text}'}

_CHANGES = {
  REMOVED: 'without <{span}>',
  REPLACED: 'with <{replacement}> for <{span}>',
}


def question(record: Mapping[str, Any], phrasing: str) -> str:
  """Renders the question of a record.

  Args:
    record: a record of `SCHEMA`.
    phrasing: one of `PHRASINGS` or `TEXT_PHRASINGS`, or of a user's own with
      the same fields.
  """
  change = _CHANGES[record['treatment']].format(
    span=record['span_text'], replacement=record['replacement_text']
  )
  return phrasing.format(
    text=record['text'],
    change=change,
    ablated=record['ablated_text'],
    span=record['span_text'].strip(),
  )


def messages(system: str | None, text: str) -> list[dict[str, str]]:
  """Returns a chat in which a target is asked a text."""
  asked = [{'role': 'user', 'content': text}]
  return [{'role': 'system', 'content': system}, *asked] if system else asked


answer = changes.answer
right = changes.right
examples = changes.examples


def misplaced(
  record: Mapping[str, Any], other: Mapping[str, Any]
) -> Mapping[str, Any] | None:
  """None: these questions name no layers."""
  del record, other
  return None


def layers(record: Mapping[str, Any]) -> tuple[int, int]:
  """No vector is shown: the first layer stands for none."""
  del record
  return 0, 0


def origins(record: Mapping[str, Any]) -> tuple[origins_lib.Origin, ...]:
  """No vector is shown, so there is none to say it of."""
  del record
  return ()


def words(depth: int) -> tuple[str, ...]:
  """Every word of the questions and answers but those of texts and tokens."""
  del depth
  return tuple(sorted(changes.words([*PHRASINGS, *_CHANGES.values()])))
