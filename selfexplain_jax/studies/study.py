# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a study consists of: runs, and what is collected of them.

A study is a module of `experiments` with

- `get_config()`, whose fields `module` (its own), `name` and `results` are for
  the sweep, and the others for the study itself: in the folder `results`, which
  is relative to the repository, or WORKDIR/results if empty, `runs` gets the
  result files, which studies share, and `name` the summary;
- `plan(config, results)`, which returns the runs that are known by now;
- `collect(config, results)`, which returns what they show.

Later runs may depend on the results of earlier ones, such as which learning
rate was best: the plan is asked again after each run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
from typing import Any

import pyarrow as pa

from selfexplain_jax import files
from selfexplain_jax.studies import recipe as recipe_lib
from selfexplain_jax.studies import results as results_lib

# How often rates are added beyond those that a study begins with.
_MORE_RATES = 2


@dataclasses.dataclass(frozen=True)
class Run:
  """One run: an explainer that is trained and evaluated, or a baseline.

  Attributes:
    task: the question type.
    facts: what makes it this run, for people: arm, target, seed and so on.
    evaluation: makes the figures, and by its inputs all that they need.
    explainer: makes the explainer that is evaluated as `self`; None if none is.

  Raises:
    ValueError: if the evaluation does not name its arms.
  """

  task: str
  facts: Mapping[str, Any]
  evaluation: recipe_lib.Recipe
  explainer: recipe_lib.Recipe | None

  def __post_init__(self):
    if not self.arms:
      raise ValueError(f'the evaluation of run {self.name} names no arms')

  @property
  def digest(self) -> str:
    """Of all that determines the figures."""
    return self.evaluation.digest

  @property
  def arms(self) -> tuple[str, ...]:
    """Of the evaluation, whose figures are kept."""
    return tuple(self.evaluation.config.arms)

  @property
  def name(self) -> str:
    """The facts in one line."""
    return ', '.join(f'{key} {value}' for key, value in self.facts.items())


@dataclasses.dataclass(frozen=True)
class Plan:
  """The runs of a study, as far as they are known.

  Attributes:
    runs: in the order in which they are best done.
    later: how many others there will be about, once these have results.
  """

  runs: Sequence[Run]
  later: int

  def undone(self, results: 'Results') -> dict[str, Any]:
    """What is left to do, for a summary: names of runs, and how many later."""
    names = [run.name for run in self.runs if results.of(run) is None]
    return {'undone': names, 'later': self.later}


@dataclasses.dataclass(frozen=True)
class Collected:
  """What the results of a study show.

  Attributes:
    summary: as JSON.
    text: the same for a terminal.
    plots: svg elements by name.
    tables: of runs, by name; kept as parquet and as CSV.
    pages: HTML by name.
  """

  summary: dict[str, Any]
  text: str
  plots: Mapping[str, str]
  tables: Mapping[str, pa.Table] = dataclasses.field(default_factory=dict)
  pages: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Results:
  """The results in a folder, read when they are asked for."""

  def __init__(self, directory: files.PathLike):
    """Takes the folder that results are written to; it may not be there yet."""
    self.directory = files.path(directory)
    self._known: dict[str, results_lib.Result] = {}

  def of(self, run: Run) -> results_lib.Result | None:
    """The result of a run, None if it has none yet.

    Raises:
      errors.InputError: if its file is not a result.
    """
    if run.digest not in self._known:
      result = results_lib.read(self.directory, run.digest)
      if result is None:
        return None
      self._known[run.digest] = result
    return self._known[run.digest]


def best_rate(runs: Iterable[Run], results: Results) -> float | None:
  """Chooses a learning rate by exact match on the validation split.

  Args:
    runs: that differ in their fact `rate` alone.
    results: those there are.

  Returns:
    The rate, of equals the lowest; None unless all runs have a result.
  """
  best: tuple[float, float] | None = None
  for run in runs:
    result = results.of(run)
    if result is None or result.validation is None:
      return None
    score = (result.validation, -run.facts['rate'])
    best = score if best is None else max(best, score)
  return None if best is None else -best[1]


def swept(
  run: Callable[[float], Run], rates: Iterable[float], results: Results
) -> list[Run]:
  """Returns the runs among which a learning rate is chosen, by rate.

  That the best of the rates is the highest or the lowest says that a better one
  may lie beyond: then twice or half of it is tried as well, and so on, at most
  twice. A single rate is no choice and stays alone.

  Args:
    run: makes the run of a rate.
    rates: to begin with.
    results: those there are.
  """
  runs = [run(rate) for rate in sorted(rates)]
  for _ in range(_MORE_RATES if len(runs) > 1 else 0):
    best = best_rate(runs, results)
    if best is None:
      break
    if best == runs[-1].facts['rate']:
      runs.append(run(2 * best))
    elif best == runs[0].facts['rate']:
      runs.insert(0, run(best / 2))
  return runs
