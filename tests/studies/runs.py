# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs and results of studies, made up without training anything."""

import ml_collections
import numpy as np

from selfexplain_jax.studies import recipe
from selfexplain_jax.studies import results
from selfexplain_jax.studies import study


def make_recipe(stage: str, inputs=None, **config) -> recipe.Recipe:
  """A recipe whose config has the given fields and those of its inputs."""
  inputs = dict(inputs or {})
  config |= dict.fromkeys(inputs, '')
  return recipe.Recipe(
    stage,
    stage,
    ml_collections.ConfigDict(config),
    {name: recipe.Source(made) for name, made in inputs.items()},
  )


def make_run(name: str, inputs=None, **facts) -> study.Run:
  """A run of an evaluation named so, without an explainer."""
  return study.Run(
    task='patching',
    facts={'name': name, **facts},
    evaluation=make_recipe('evaluate', inputs, of=name, arms=('self',)),
    explainer=None,
  )


def sums(exact, changed, verdicts=None) -> dict[str, np.ndarray]:
  """The sums of a run: exact and changed are by group, of 4 records each."""
  exact, changed = np.array(exact, float), np.array(changed, float)
  if verdicts is None:
    verdicts = np.tile([1.0, 1, 0, 1, 1, 0], (len(exact), 1))

  def pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([a, b], -1)

  return {
    'exact_match': pair(exact, np.full(len(exact), 4.0)),
    'exact_match_changed': pair(np.minimum(exact, changed), changed),
    'exact_match_balanced': pair(exact / 2, np.full(len(exact), 2.0)),
    'macro_f1': np.array(verdicts, float),
  }


def make_result(
  digest: str, by_arm, validation=None, examples=10, questions='people', **facts
) -> results.Result:
  """A result."""
  return results.Result(
    digest=digest,
    facts=facts,
    validation=validation,
    examples=examples,
    questions=questions,
    sums=by_arm,
    versions={'jax': '1'},
    minutes=2.0,
  )
