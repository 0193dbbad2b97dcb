# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Re-runs the interventions that claims are about: what really happens."""

from collections.abc import Callable
import dataclasses
from typing import Any

import numpy as np

from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.tasks import changes as changes_lib
from selfexplain_jax.tasks import task as task_lib

# Runs the interventions of records, given their vectors, f32[N, D].
Intervene = Callable[
  [task_lib.Target, list[dict[str, Any]], np.ndarray], effects_lib.Effects
]


@dataclasses.dataclass(frozen=True)
class Rerun:
  """What re-running showed for N records.

  Attributes:
    clean: what the target says without the treatment.
    treated: what it says with it.
    effects: the effect of each, in the form of a claim.
    clean_token: the target's token without the treatment, as text.
    treated_token: the one with it.
    disagreements: records whose stored effect is not what re-running shows.
  """

  clean: effects_lib.Effects
  treated: effects_lib.Effects
  effects: list[claims.Claim]
  clean_token: list[str]
  treated_token: list[str]
  disagreements: int


def rerun(
  target: task_lib.Target,
  intervene: Intervene,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
) -> Rerun:
  """Runs the target anew on records, never reading their stored effects.

  Args:
    target: the target.
    intervene: what the questions are about.
    explained: the explanation set; its prompts, treatments and vectors say
      what to run.
    chosen: i64[N], the records.

  Raises:
    errors.InputError: if the records cannot be run together.
  """
  rows = [explained.rows[i] for i in chosen]
  tokens, lengths = prompts_lib.pad([row['prompt_ids'] for row in rows])
  clean = effects_lib.run_clean(target.model, tokens, lengths)
  treated = intervene(target, rows, explained.shown(chosen)[:, 0])
  texts = [
    [target.tokenizer.text(int(t)) for t in effects.token]
    for effects in (clean, treated)
  ]
  changed = clean.token != treated.token
  stored = np.array(
    [[row['clean_id'], row['treated_id']] for row in rows], np.int32
  )
  now = np.stack([clean.token, treated.token], 1)
  return Rerun(
    clean=clean,
    treated=treated,
    effects=[
      claims.Claim(
        bool(changed[n]), changes_lib.content(row, texts[int(changed[n])][n])
      )
      for n, row in enumerate(rows)
    ],
    clean_token=texts[0],
    treated_token=texts[1],
    disagreements=int(np.sum(np.any(stored != now, 1))),
  )
