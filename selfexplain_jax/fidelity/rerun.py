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
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import changes as changes_lib
from selfexplain_jax.tasks import target as target_lib

# Runs the interventions of records, given their vectors f32[N, D], the rows of
# a batch, and what lengths are padded to multiples of.
Intervene = Callable[
  [target_lib.Target, list[dict[str, Any]], np.ndarray, int, int],
  effects_lib.Effects,
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
    flips: bool[N], which of the verdicts another batch shape turns round; None
      in float32, in which they are not run again for that.
    keep_unstable: whether those are scored too.
  """

  clean: effects_lib.Effects
  treated: effects_lib.Effects
  effects: list[claims.Claim]
  clean_token: list[str]
  treated_token: list[str]
  disagreements: int
  flips: np.ndarray | None = None
  keep_unstable: bool = False

  @property
  def scored(self) -> np.ndarray:
    """Which records are scored, i64[M]."""
    if self.flips is None or self.keep_unstable:
      return np.arange(len(self.effects))
    return np.flatnonzero(~self.flips)

  def take(self, rows: np.ndarray) -> 'Rerun':
    """Returns what was shown for some records; disagreements stay of all."""
    return dataclasses.replace(
      self,
      clean=self.clean.take(rows),
      treated=self.treated.take(rows),
      effects=[self.effects[i] for i in rows],
      clean_token=[self.clean_token[i] for i in rows],
      treated_token=[self.treated_token[i] for i in rows],
      flips=None if self.flips is None else self.flips[rows],
    )


def rerun(
  target: target_lib.Target,
  intervene: Intervene,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
  batches: tuple[int, int] = (stability.BATCH, stability.OTHER_BATCH),
  length_step: int = 1,
) -> Rerun:
  """Runs the target anew on records, never reading their stored effects.

  Args:
    target: the target.
    intervene: what the questions are about.
    explained: the explanation set; its prompts, treatments and vectors say
      what to run.
    chosen: i64[N], the records.
    batches: records that are run at once, and when verdicts are run again.
    length_step: lengths are padded to multiples of it, so that other records
      need no other programs.

  Raises:
    errors.InputError: if the records cannot be run together.
  """
  rows = [explained.rows[i] for i in chosen]
  tokens, lengths = prompts_lib.pad(
    [row['prompt_ids'] for row in rows], step=length_step
  )

  def both(batch: int) -> tuple[effects_lib.Effects, effects_lib.Effects]:
    vectors = explained.shown(chosen)[:, 0]
    return (
      effects_lib.run_clean(target.model, tokens, lengths, batch),
      intervene(target, rows, vectors, batch, length_step),
    )

  clean, treated = both(batches[0])
  flips = None
  if target.model.config.dtype == 'bfloat16':
    flips = stability.flipped(clean, treated, *both(batches[1]))
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
    flips=flips,
  )
