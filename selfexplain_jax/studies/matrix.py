# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A matrix of explainers by targets: figures over seeds, and paired tests.

A figure is the mean over training seeds. Its interval resamples the groups
(base persons, or labels) with all their records in all seeds together, and
tests swap two arms within groups in the same way: they hold for these trained
explainers and new people. How far it depends on the training is told by the
figure of each seed.
"""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import math
from typing import Any

from absl import logging
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import sums as sums_lib

OWN, SHUFFLED = 'self', 'shuffled_vector'  # Arms of an evaluation.

# Fewer seeds than these say nothing about the sign.
_LEAST_SEEDS = 3

# By seed, the result of one arm of the study.
Seeds = Mapping[int, results_lib.Result]


def block(
  task: str,
  arms: Mapping[str, Seeds],
  pairs: Sequence[tuple[str, str]],
  resamples: int = 10_000,
) -> dict[str, Any]:
  """Compares the arms of one target and question type.

  Args:
    task: the question type.
    arms: by arm and seed, results on the same questions; an arm may have none.
    pairs: which arms are compared with which; those without results are not.
    resamples: for intervals and tests.

  Returns:
    `rows`, by arm and metric `value`, `ci95` and `by_seed`; `tests`, for
    `A_minus_B` of each pair, and for `ARM_minus_shuffled` (real minus shuffled
    vectors of the same explainer), by metric the same with `p` and
    `same_sign`, over the seeds that both have.

  Raises:
    errors.InputError: if results are of different questions.
  """
  present = {arm: seeds for arm, seeds in arms.items() if seeds}
  first = next((r for seeds in present.values() for r in seeds.values()), None)
  rows: dict[str, Any] = {}
  tests: dict[str, Any] = {}
  if first is None:
    return {'rows': rows, 'tests': tests}
  for arm, seeds in present.items():
    check_same(arm, first, seeds.values())
  size = len(next(iter(first.sums[OWN].values())))
  bootstrap = statistics.Bootstrap(range(size), resamples)
  for arm, seeds in present.items():
    rows[arm] = {
      metric: _figure(bootstrap, metric, seeds)
      for metric in sums_lib.METRICS[task]
    }
    if all(SHUFFLED in result.sums for result in seeds.values()):
      tests[f'{arm}_minus_shuffled'] = _tested(
        bootstrap, task, seeds, seeds, SHUFFLED
      )
  for a, b in pairs:
    if a in present and b in present and present[a].keys() & present[b].keys():
      tests[f'{a}_minus_{b}'] = _tested(bootstrap, task, present[a], present[b])
  return {'rows': rows, 'tests': tests}


def constant(
  beside: results_lib.Result, seeds: Seeds
) -> dict[str, dict[int, results_lib.Result]]:
  """Returns the arms of one evaluation as rows, the same at every seed.

  Args:
    beside: their result, on which no training seed has a bearing.
    seeds: what they are compared with.
  """
  return {
    arm: dict.fromkeys(
      seeds or (0,), dataclasses.replace(beside, sums={OWN: sums})
    )
    for arm, sums in beside.sums.items()
  }


def check_same(
  arm: str,
  first: results_lib.Result,
  others: Collection[results_lib.Result],
) -> None:
  """Checks that results are of the same questions about the same target.

  Raises:
    errors.InputError: if one is not, naming the arm.
  """
  if any(other.questions != first.questions for other in others):
    raise errors.InputError(
      f'results of arm {arm} and of another are of different questions: '
      'expected the same for all arms of a target, whose runs belong to one '
      'workdir, since models of one recipe differ from machine to machine, and '
      'by the number of cores'
    )
  versions = {tuple(sorted(r.versions.items())) for r in (first, *others)}
  if len(versions) > 1:
    logging.warning('Results of arm %s are of different versions', arm)


def stacked(
  metric: str, seeds: Seeds, chosen: Sequence[int], arm: str
) -> np.ndarray:
  """The sums of each group and seed, f64[G, S, 2 or 6]."""
  return np.stack([seeds[seed].sums[arm][metric] for seed in chosen], axis=1)


def _figure(
  bootstrap: statistics.Bootstrap, metric: str, seeds: Seeds
) -> dict[str, Any]:
  estimate = bootstrap.statistic(
    stacked(metric, seeds, sorted(seeds), OWN), sums_lib.over_seeds(metric)
  )
  return {**estimate.to_json(), 'by_seed': _by_seed(metric, seeds, OWN)}


def _tested(
  bootstrap: statistics.Bootstrap,
  task: str,
  a: Seeds,
  b: Seeds,
  arm_of_b: str = OWN,
) -> dict[str, Any]:
  """Returns a - b by metric, over the seeds in common."""
  common = sorted(a.keys() & b.keys())
  found: dict[str, Any] = {}
  for metric in sums_lib.METRICS[task]:
    test = bootstrap.statistic_difference(
      stacked(metric, a, common, OWN),
      stacked(metric, b, common, arm_of_b),
      sums_lib.over_seeds(metric),
    )
    own, other = _by_seed(metric, a, OWN), _by_seed(metric, b, arm_of_b)
    gaps = {
      str(seed): _gap(own[str(seed)], other[str(seed)]) for seed in common
    }
    found[metric] = {
      **test.to_json(),
      'by_seed': gaps,
      'same_sign': _same_sign(list(gaps.values())),
    }
  return found


def _by_seed(metric: str, seeds: Seeds, arm: str) -> dict[str, float | None]:
  found = {
    str(seed): sums_lib.value(metric, seeds[seed].sums[arm][metric])
    for seed in sorted(seeds)
  }
  return {s: v if math.isfinite(v) else None for s, v in found.items()}


def _gap(a: float | None, b: float | None) -> float | None:
  return None if a is None or b is None else a - b


def _same_sign(values: Sequence[float | None]) -> bool | None:
  """Whether all are above 0, or all below; None of too few seeds to tell."""
  if len(values) < _LEAST_SEEDS:
    return None
  defined = [v for v in values if v is not None]
  return len(defined) == len(values) and (
    all(v > 0 for v in defined) or all(v < 0 for v in defined)
  )
