# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Activation patching as a question: what does this vector do there?

The question names the text, the token and the layers, and shows the vector. To
small explainers it is shown where it is put: in a second copy of the text, in
the token's place, so that they can read the patched text as the target did; to
others by itself, as in the paper. Answers are one of the two sentences of
`fidelity.claims` (method A.2).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.data import questions
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import changes

NAME = 'patching'

# Where the vector is written, the text around it, and where it was read, which
# is null where nobody says.
SCHEMA = pa.schema(
  [
    *changes.SCHEMA,
    ('counterfactual_group', pa.string()),
    ('counterfactual_text', pa.string()),
    ('site', pa.string()),
    ('first_layer', pa.int32()),
    ('last_layer', pa.int32()),
    ('position', pa.int32()),
    ('before', pa.string()),
    ('token_text', pa.string()),
    ('after', pa.string()),
    ('counterfactual_ids', pa.list_(pa.int32())),
    ('counterfactual_position', pa.int32()),
  ]
)

# What predictions show beside a claim.
COPIED = (
  'group',
  'counterfactual_group',
  'prompt_kind',
  'place',
  'treatment',
  'position',
  'balanced',
  'text',
  'token_text',
  'counterfactual_text',
)

PHRASINGS: tuple[str, ...] = (
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


# For models that read any text (method A.2). A vector is put in the place of
# the token's activation, and that is what these say.
TEXT_PHRASINGS: tuple[str, ...] = (
  'Text: <<<{text}>>>\nAt layers {layer_list} the activation at <{token}> is '
  'replaced by {vector}. How does the most likely output change?\n',
  'A model reads <<<{text}>>>. Its hidden state at <{token}> in layers '
  '{layer_list} is set to {vector}. What does it say next?\n',
  'Suppose {vector} stands in place of the activation of <{token}>, layers '
  '{layer_list}, while this is read: <<<{text}>>>. Does the output change?\n',
  'Given <<<{text}>>>, what comes next once layers {layer_list} hold {vector} '
  'at <{token}>?\n',
  'Patch: {vector} at <{token}>, layers {layer_list}. Input: <<<{text}>>>. '
  'What is the effect on the output?\n',
)


FIELDS = {
  'feature': '{vector}',
  'input': '{text}',
  'layer': '{layer_list}',
  'tokens': '<{token}>',
}


def layers_text(first: int, last: int) -> str:
  """Writes a block of layers: '3', or '2 to 4'."""
  return str(first) if first == last else f'{first} to {last}'


def question(record: Mapping[str, Any], phrasing: str) -> str:
  """Renders the question of a record.

  Args:
    record: a record of `SCHEMA`.
    phrasing: one of `PHRASINGS` or `TEXT_PHRASINGS`, or of a user's own with
      the same fields; the vector must occur in it once, through {patched},
      whose pieces are words, or {vector}.
  """
  first, last = record['first_layer'], record['last_layer']
  pieces = (record['before'], questions.VECTOR, record['after'])
  return phrasing.format(
    text=record['text'],
    token=record['token_text'],
    layers=layers_text(first, last),
    layer_list=', '.join(map(str, range(first, last + 1))),
    patched=' '.join(piece for piece in pieces if piece),
    vector=questions.VECTOR,
  )


def pieces(
  tokenizer: tokenizer_lib.Tokenizer, ids: Sequence[int], position: int
) -> dict[str, str]:
  """Returns the columns that say where in a prompt the vector goes."""
  start = 0 if tokenizer.bos_id is None else 1
  return {
    'before': tokenizer.decode(ids[start:position], special=True),
    'token_text': tokenizer.text(ids[position]),
    'after': tokenizer.decode(ids[position + 1 :], special=True),
  }


answer = changes.answer
right = changes.right
examples = changes.examples


def misplaced(
  record: Mapping[str, Any], other: Mapping[str, Any]
) -> dict[str, Any]:
  """The record, asked about the layers of another."""
  return {
    **record,
    'first_layer': other['first_layer'],
    'last_layer': other['last_layer'],
  }


def layers(record: Mapping[str, Any]) -> tuple[int, int]:
  """First and last layer that the vectors are of."""
  return record['first_layer'], record['last_layer']


def origins(record: Mapping[str, Any]) -> tuple[origins_lib.Origin, ...]:
  """Where the record's vector is from.

  Raises:
    errors.InputError: if the record does not say.
  """
  # Sets that were made earlier lack the columns, and published ones are null.
  if record.get('counterfactual_ids') is None:
    raise errors.InputError(
      'a record has no counterfactual_ids, the prompt that its vector is from: '
      'expected a set made anew, not an older or a published one'
    )
  return (
    origins_lib.Origin(
      ids=record['counterfactual_ids'],
      position=record['counterfactual_position'],
      site=record['site'],
      first=record['first_layer'],
      last=record['last_layer'],
    ),
  )


def words(depth: int) -> tuple[str, ...]:
  """Every word of the questions and answers but those of texts and tokens."""
  numbers = (str(i) for i in range(depth))
  return tuple(sorted({*changes.words(PHRASINGS), 'to', *numbers}))
