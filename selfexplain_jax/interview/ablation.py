# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Asking what a piece of a text of one's own does."""

from collections.abc import Callable, Sequence

from selfexplain_jax import errors
from selfexplain_jax.interventions import ablate
from selfexplain_jax.interview import changes
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects


def cases(
  subject: subject_lib.Subject, inquiries: Sequence[inquiry_lib.Inquiry]
) -> list[inquiry_lib.Case]:
  """Renders the questions, which show no vector.

  Raises:
    errors.InputError: if the span holds BOS, or nothing would be left.
  """
  for inquiry in inquiries:
    own = inquiry.ids[inquiry.start : inquiry.end]
    if subject.target.tokenizer.bos_id in own:
      raise errors.InputError(
        f'position {inquiry.start} is where the text begins: expected words of '
        'it, from 1 on'
      )
    if len(own) == len(inquiry.ids) and not inquiry.replacement:
      raise errors.InputError(
        'nothing is left of the text: expected a shorter span, or --replacement'
      )
  return [_case(subject, inquiry) for inquiry in inquiries]


def observe(
  subject: subject_lib.Subject, made: Sequence[inquiry_lib.Case]
) -> Callable[[int, str], inquiry_lib.Verdict]:
  """Ablates the texts; returns what checks an answer to the n-th case."""
  return changes.observe(subject, ablation_effects.rerun, ablation.SCHEMA, made)


def _case(
  subject: subject_lib.Subject, inquiry: inquiry_lib.Inquiry
) -> inquiry_lib.Case:
  tokenizer = subject.target.tokenizer
  replacement = list(inquiry.replacement)
  span = inquiry.start, inquiry.end
  ablated = ablate.ablate(inquiry.ids, *span, replacement)
  most = subject.target.config.max_positions
  if len(ablated) > most:
    raise errors.InputError(
      f'with the replacement the text has {len(ablated)} tokens: expected at '
      f'most {most}, the positions of the target'
    )
  kind = ablation.REPLACED if replacement else ablation.REMOVED
  return inquiry_lib.Case(
    {
      **changes.record(subject, inquiry.ids),
      'task': ablation.NAME,
      'treatment': kind,
      'vectors': [],
      'known': None,
      'start': inquiry.start,
      'end': inquiry.end,
      'replacement_ids': replacement,
      'span_text': tokenizer.decode(inquiry.ids[slice(*span)], special=True),
      'replacement_text': tokenizer.decode(replacement, special=True),
      'ablated_text': subject.text(ablated),
    }
  )
