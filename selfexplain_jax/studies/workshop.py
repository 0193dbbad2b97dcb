# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Does the runs of a study: makes what they need, once, and measures them."""

from collections.abc import Callable, Mapping
from concurrent import futures
import threading
import time

from absl import logging
import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import preemption
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.studies import recipe as recipe_lib
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import study as study_lib
from selfexplain_jax.studies import sums as sums_lib

# Makes a folder from a config, unless it is finished, or goes on with it.
Stage = Callable[[ml_collections.ConfigDict, str], object]
MakePlan = Callable[[study_lib.Results], study_lib.Plan]


class Workshop:
  """A workdir in which recipes are made, each once, by several threads."""

  def __init__(self, workdir: files.PathLike, stages: Mapping[str, Stage]):
    """Takes the folder that everything is made in, and the stages by name."""
    self._workdir, self._stages = files.path(workdir), stages
    self._locks: dict[str, threading.Lock] = {}
    self._guard = threading.Lock()
    self._made: set[str] = set()
    self._failed: dict[str, Exception] = {}

  def make(self, recipe: recipe_lib.Recipe) -> None:
    """Makes a recipe and, before it, all that it is made from.

    What failed once fails again, for all that need it, without another try.
    """
    for source in recipe.inputs.values():
      self.make(source.recipe)
    with self._guard:
      lock = self._locks.setdefault(recipe.digest, threading.Lock())
    with lock:
      if recipe.digest in self._made:
        return
      if recipe.digest in self._failed:
        raise self._failed[recipe.digest]
      preemption.check()
      try:
        self._stages[recipe.stage](
          recipe.resolved(self._workdir), str(self._workdir / recipe.folder)
        )
      except preemption.Preempted:
        raise
      except Exception as e:
        self._failed[recipe.digest] = e
        raise
      self._made.add(recipe.digest)

  def run(self, run: study_lib.Run) -> results_lib.Result:
    """Makes all that a run needs, and returns its result."""
    shared = (run.explainer or run.evaluation).inputs.values()
    for source in shared:
      self.make(source.recipe)
    started = time.monotonic()
    self.make(run.evaluation)
    minutes = (time.monotonic() - started) / 60

    folder = self._workdir / run.evaluation.folder
    figures = files.read_json(folder / 'metrics.json', 'figures of a run')
    questions, sums = sums_lib.read(folder, run.task, run.arms)
    validation, examples = None, 0
    if run.explainer is None:
      place = run.evaluation.resolved(self._workdir).explanations
      examples = len(explanations.read(place).split('train'))
    else:
      trained = self._workdir / run.explainer.folder
      notes = files.read_json(trained / 'metrics.json', 'figures of training')
      validation = float(notes['best']['exact_match'])
      note = explainer_lib.training(trained / 'model')
      examples = int(note['examples'][run.task])
    return results_lib.Result(
      digest=run.digest,
      facts=dict(run.facts),
      validation=validation,
      examples=examples,
      questions=questions,
      sums=sums,
      versions=figures['versions'],
      minutes=round(minutes, 2),
    )


def sweep(
  plan: MakePlan,
  results: study_lib.Results,
  work: Callable[[study_lib.Run], results_lib.Result],
  side_by_side: int,
) -> dict[str, Exception]:
  """Does all runs that have no result, and those that they lead to.

  A run that fails does not keep others from being done.

  Args:
    plan: says which runs there are, given the results so far.
    results: those there are; the others are written beside them.
    work: does one run.
    side_by_side: how many at a time.

  Returns:
    The errors of runs that failed, by the run's name.

  Raises:
    preemption.Preempted: when all that was begun is saved.
  """
  failed: dict[str, Exception] = {}
  running: dict[futures.Future, study_lib.Run] = {}
  with futures.ThreadPoolExecutor(side_by_side) as pool:
    while True:
      begun = {run.digest for run in running.values()}
      to_do = [
        run
        for run in plan(results).runs
        if run.digest not in begun
        and run.name not in failed
        and results.of(run) is None
      ]
      for run in to_do[: side_by_side - len(running)]:
        if not preemption.asked():
          logging.info('Run: %s; %d to do', run.name, len(to_do))
          running[pool.submit(work, run)] = run
      if not running:
        break
      ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
      for future in ended:
        run = running.pop(future)
        error = future.exception()
        if error is None:
          future.result().write(results.directory)
        elif isinstance(error, Exception):
          # That it was asked to leave is told by what is raised at the end.
          if not isinstance(error, preemption.Preempted):
            _tell(run, error)
            failed[run.name] = error
        else:
          raise error
  preemption.check()
  return failed


def _tell(run: study_lib.Run, error: Exception) -> None:
  """Logs a failure, with its traceback if it is the program's fault."""
  known = isinstance(error, errors.InputError)
  logging.error(
    'Failed: %s: %s', run.name, error, exc_info=None if known else error
  )
