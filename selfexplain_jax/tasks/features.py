# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Feature descriptions as a question: what does this direction encode?

The question names the layer and shows the vector. The answer is a description
of where the direction is active (method A.1). Vectors are decoder directions of
a dictionary's features or, to see how far descriptions carry over, activations
and differences of activations, which have no label.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.data import questions
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import labels

NAME = 'features'

# What a vector is: the record's `place`.
FEATURE, ACTIVATION, DIFFERENCE = 'feature', 'activation', 'difference'

# What is described; `answer` is the label, empty where there is none.
SCHEMA = pa.schema(
  [
    *explanations.COMMON,
    ('site', pa.string()),
    ('layer', pa.int32()),
    ('feature', pa.int32()),
    ('source', pa.string()),
    ('concept', pa.string()),
    ('label_correlation', pa.float32()),
    ('label_precision', pa.float32()),
  ]
)

PHRASINGS: tuple[str, ...] = (
  'At layer {layer} {vector} encodes what?',
  'What does {vector} encode at layer {layer}?',
  'When is {vector} active at layer {layer}?',
  'Describe {vector} of layer {layer}.',
  'Layer {layer}: where does {vector} occur?',
)


# For models that read any text; an answer goes on where these end.
TEXT_PHRASINGS: tuple[str, ...] = (
  'In layer {layer} the direction {vector} stands for ',
  'What {vector} of layer {layer} means: ',
  'Texts on which {vector} is active at layer {layer} are about ',
  'Description of the layer {layer} feature {vector}: ',
  'Layer {layer}, {vector}: active on ',
)


FIELDS = {'feature': '{vector}', 'layer': '{layer}'}


def question(record: Mapping[str, Any], phrasing: str) -> str:
  """Renders the question of a record.

  Args:
    record: a record of `SCHEMA`.
    phrasing: one of `PHRASINGS` or `TEXT_PHRASINGS`, or of a user's own with
      the same fields; the vector must occur in it once.
  """
  return phrasing.format(layer=record['layer'], vector=questions.VECTOR)


def answer(record: Mapping[str, Any]) -> str:
  """Returns the label of a record."""
  return record['answer']


def parse(said: str) -> str | None:
  """Reads a description; None for no words.

  Case, white space and a final period are forgiven, and so is the order of
  two descriptions that both have to hold.
  """
  words = ' '.join(said.casefold().split()).removesuffix('.').rstrip()
  return labels.AND.join(sorted(words.split(labels.AND))) or None


def right(said: str, record: Mapping[str, Any]) -> bool:
  """Whether an answer is the record's own label: the exact concept."""
  claim = parse(said)
  return claim is not None and claim == parse(record['answer'])


def misplaced(
  record: Mapping[str, Any], other: Mapping[str, Any]
) -> dict[str, Any]:
  """The record, asked about the layer of another."""
  return {**record, 'layer': other['layer']}


def name(record: Mapping[str, Any]) -> str:
  """Names the vector of a record, unlike any other of its set."""
  return f'{record["place"]} {record["layer"]} {record["source"]}'


def examples(records: Sequence[Mapping[str, Any]]) -> list[str]:
  """The labels of the first two records that have different ones."""
  first = records[0]['answer']
  others = (r['answer'] for r in records if r['answer'] not in ('', first))
  return [first, next(others, first)]


def layers(record: Mapping[str, Any]) -> tuple[int, int]:
  """First and last layer that the vectors are of."""
  return record['layer'], record['layer']


def origins(record: Mapping[str, Any]) -> tuple[origins_lib.Origin, ...]:
  """Vectors of features are directions, and from no prompt.

  Raises:
    errors.InputError: always.
  """
  raise errors.InputError(
    f'the vector of {name(record)} is a direction: expected an activation, '
    'as of patching'
  )


def words(depth: int) -> tuple[str, ...]:
  """Every word of the questions."""
  numbers = (str(i) for i in range(depth))
  return tuple(sorted({*changes.plain_words(PHRASINGS), *numbers}))
