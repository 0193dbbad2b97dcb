# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The questions of an evaluation of patching, and of one of ablation."""

from selfexplain_jax.fidelity import asked
from selfexplain_jax.fidelity import changes
from selfexplain_jax.interview import ablation as ablation_interview
from selfexplain_jax.interview import patching as patching_interview
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import task
from tests.data import fixtures

EXPLAINED = fixtures.explanation_set(60)
PATCHING = asked.Asked(
  task.Task(
    patching,
    {'effects': patching_effects.prepare},
    changes.Changes(patching_effects.rerun, patching.COPIED),
    patching_interview,
  ),
  EXPLAINED,
  chosen=EXPLAINED.split('test'),
  train=EXPLAINED.split('train'),
  seed=0,
)

ABLATED = fixtures.ablation_set(60)
# Its target says the ablated text itself, so that what it is asked can be seen.
ABLATION = asked.Asked(
  task.Task(
    ablation,
    {'effects': ablation_effects.prepare},
    changes.Changes(
      ablation_effects.rerun,
      ablation.COPIED,
      black_box=lambda target, rows: [
        f'{target}: {row["ablated_text"]}' for row in rows
      ],
    ),
    ablation_interview,
  ),
  ABLATED,
  chosen=ABLATED.split('test'),
  train=ABLATED.split('train'),
  seed=0,
)
