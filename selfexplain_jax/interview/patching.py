# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Asking what a patch of one's own does."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.interview import changes
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_effects


def cases(
  subject: subject_lib.Subject, inquiries: Sequence[inquiry_lib.Inquiry]
) -> list[inquiry_lib.Case]:
  """Finds the vectors, and renders the questions.

  A vector is the mean over the layers asked about, as in the sets.

  Raises:
    errors.InputError: if a text to take the vector from is not given and there
      is none to draw; or a position is that of BOS, which no question has in
      its midst.
  """
  for inquiry in inquiries:
    if inquiry.ids[inquiry.start] == subject.target.tokenizer.bos_id:
      raise errors.InputError(
        f'position {inquiry.start} is where the text begins: expected one of '
        'its words, from 1 on'
      )
  return [
    _case(subject, inquiry, vector)
    for inquiry, vector in zip(inquiries, _vectors(subject, inquiries))
  ]


def observe(
  subject: subject_lib.Subject, made: Sequence[inquiry_lib.Case]
) -> Callable[[int, str], inquiry_lib.Verdict]:
  """Patches the target; returns what checks an answer to the n-th case."""
  return changes.observe(subject, patching_effects.rerun, patching.SCHEMA, made)


def _vectors(
  subject: subject_lib.Subject, inquiries: Sequence[inquiry_lib.Inquiry]
) -> list[np.ndarray | None]:
  """Returns the vector of each inquiry that says where it is from."""
  sources = [i.source for i in inquiries if i.source is not None]
  if not sources:
    return [None] * len(inquiries)
  different = list(dict.fromkeys(sources))
  stream = subject.activations(different)
  return [
    None
    if i.source is None
    else stream[
      i.first : i.last + 1, different.index(i.source), i.source_position
    ].mean(0, dtype=np.float32)
    for i in inquiries
  ]


def _case(
  subject: subject_lib.Subject,
  inquiry: inquiry_lib.Inquiry,
  vector: np.ndarray | None,
) -> inquiry_lib.Case:
  treatment = patching.layers_text(inquiry.first, inquiry.last)
  where = f'{inquiry.ids} {inquiry.start} {treatment}'
  record: dict[str, Any] = {
    **changes.record(subject, inquiry.ids),
    'task': patching.NAME,
    'treatment': treatment,
    'vectors': [0],
    'site': subject.site,
    'first_layer': inquiry.first,
    'last_layer': inquiry.last,
    'position': inquiry.start,
    **patching.pieces(subject.target.tokenizer, inquiry.ids, inquiry.start),
  }
  if vector is not None and inquiry.source is not None:
    origin = _origin(subject, inquiry.source, inquiry.source_position)
  else:
    drawn = subject.draw(f'source {where}', treatment)
    if drawn is None:
      raise errors.InputError(
        f'there is no vector of layers {treatment} to draw from: expected one '
        f'of {", ".join(subject.treatments)}, which the set has, or a text '
        'that the vector is taken from (--source)'
      )
    vector, origin = _stored(subject, drawn)
  other = subject.draw(f'other {where}', treatment, unlike=vector)
  if other is None:
    return inquiry_lib.Case(record, vector, origin)
  return inquiry_lib.Case(record, vector, origin, *_stored(subject, other))


def _stored(subject: subject_lib.Subject, index: int) -> tuple[np.ndarray, str]:
  """The vector of a record of the set, and what it is."""
  row = subject.require_set(patching.NAME).rows[index]
  vector = subject.stored(index)
  if row.get('counterfactual_ids') is None:
    return vector, f'one of <<<{row["counterfactual_text"]}>>>'
  return vector, _origin(
    subject, row['counterfactual_ids'], row['counterfactual_position']
  )


def _origin(
  subject: subject_lib.Subject, ids: Sequence[int], position: int
) -> str:
  """Says which token of which text an activation is of."""
  token = subject.target.tokenizer.text(ids[position])
  return f'<{token}> of <<<{subject.text(ids)}>>>'
