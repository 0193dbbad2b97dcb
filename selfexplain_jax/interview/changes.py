# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What questions about changed outputs have in common: how they are checked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.fidelity import rerun as rerun_lib
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import subject as subject_lib


def record(subject: subject_lib.Subject, ids: Sequence[int]) -> dict[str, Any]:
  """Returns the columns that questions about changed outputs have in common."""
  return {
    'split': 'asked',
    'group': 'asked',
    'place': 'asked',
    'answer': '',
    'prompt_kind': 'asked',
    'prompt_ids': list(ids),
    'text': subject.text(ids),
    'system': None,
    'content_prefix': '',
    # Nothing is known of it before the target is run.
    'clean_id': -1,
    'treated_id': -1,
    'balanced': True,
  }


def observe(
  subject: subject_lib.Subject,
  intervene: rerun_lib.Intervene,
  schema: pa.Schema,
  cases: Sequence[inquiry_lib.Case],
) -> Callable[[int, str], inquiry_lib.Verdict]:
  """Runs the target on cases, without and with the treatment.

  Args:
    subject: the target.
    intervene: does the treatment, as in an evaluation.
    schema: of the records.
    cases: N cases.

  Returns:
    What checks an answer to the n-th case.
  """
  none = np.zeros(subject.target.config.width, np.float32)
  # A case's own vector is the row of its number.
  records = [
    {**case.record, 'vectors': [] if case.vector is None else [n]}
    for n, case in enumerate(cases)
  ]
  made = explanations.ExplanationSet(
    {},
    pa.Table.from_pylist(records, schema),
    np.stack([none if c.vector is None else c.vector for c in cases]),
  )
  shown = rerun_lib.rerun(
    *(subject.target, intervene, made, np.arange(len(cases))),
    batches=(subject_lib.BATCH, 2 * subject_lib.BATCH),
    length_step=subject_lib.LENGTH_STEP,
  )

  def verdict(n: int, said: str) -> inquiry_lib.Verdict:
    claim, effect = claims.parse(said), shown.effects[n]
    clean, treated = shown.clean_token[n], shown.treated_token[n]
    margins = float(shown.clean.margin[n]), float(shown.treated.margin[n])
    found = (
      f'the output changes from <<<{clean}>>> to <<<{treated}>>>'
      if effect.changed
      else f'the output remains <<<{clean}>>>'
    )
    margin = f'leads by {margins[1]:.2f}, and by {margins[0]:.2f} without'
    unsure = shown.flips is not None and bool(shown.flips[n])
    return inquiry_lib.Verdict(
      holds=None if claim is None else claim.matches(effect),
      claim=None
      if claim is None
      else {'changed': claim.changed, 'content': claim.content.strip()},
      effect={
        'changed': effect.changed,
        'clean_token': clean,
        'treated_token': treated,
        'clean_margin': margins[0],
        'treated_margin': margins[1],
        'unstable': unsure,
      },
      text=f'{found} ({margin}{"; rounding decides" if unsure else ""})',
    )

  return verdict
