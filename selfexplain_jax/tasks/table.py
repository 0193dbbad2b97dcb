# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The table of question types: a new one is one line here and one file."""

from selfexplain_jax import errors
from selfexplain_jax.fidelity import changes
from selfexplain_jax.fidelity import descriptions
from selfexplain_jax.interview import ablation as ablation_interview
from selfexplain_jax.interview import features as features_interview
from selfexplain_jax.interview import patching as patching_interview
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import ablation_mmlu
from selfexplain_jax.tasks import ablation_published
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import features_effects
from selfexplain_jax.tasks import features_published
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_counterfact
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import patching_published
from selfexplain_jax.tasks import task as task_lib

# The maker of a set that runs the target on prompts of its own world.
EFFECTS = 'effects'
# One that takes what others found and published.
PUBLISHED = 'published'
# Those that run any target on facts, and any chat model on questions.
COUNTERFACT, MMLU = 'counterfact', 'mmlu'

TASKS = {
  t.language.NAME: t
  for t in (
    task_lib.Task(
      features,
      {
        EFFECTS: features_effects.prepare,
        PUBLISHED: features_published.prepare,
      },
      descriptions.Descriptions(),
      features_interview,
    ),
    task_lib.Task(
      patching,
      {
        EFFECTS: patching_effects.prepare,
        PUBLISHED: patching_published.prepare,
        COUNTERFACT: patching_counterfact.prepare,
      },
      changes.Changes(patching_effects.rerun, patching.COPIED),
      patching_interview,
    ),
    task_lib.Task(
      ablation,
      {
        EFFECTS: ablation_effects.prepare,
        PUBLISHED: ablation_published.prepare,
        MMLU: ablation_mmlu.prepare,
      },
      changes.Changes(
        ablation_effects.rerun,
        ablation.COPIED,
        black_box=ablation_effects.black_box,
      ),
      ablation_interview,
    ),
  )
}


def task(name: str) -> task_lib.Task:
  """Returns a question type.

  Raises:
    errors.InputError: if there is none of this name.
  """
  if name not in TASKS:
    raise errors.InputError(
      f'unknown task {name!r}: expected one of {", ".join(TASKS)}'
    )
  return TASKS[name]


def maker(name: str, made_by: str) -> task_lib.Prepare:
  """Returns what prepares the explanation set of a question type.

  Args:
    name: of the question type.
    made_by: name of the maker.

  Raises:
    errors.InputError: if there is none of these names.
  """
  makers = task(name).makers
  if made_by not in makers:
    raise errors.InputError(
      f'config.maker is {made_by!r}: expected one of {", ".join(makers)}, '
      f'which make sets of {name}'
    )
  return makers[made_by]


def words(depth: int) -> tuple[str, ...]:
  """Every word of the questions and answers of all types.

  Args:
    depth: number of layers of the target.
  """
  return tuple(
    sorted({w for t in TASKS.values() for w in t.language.words(depth)})
  )
