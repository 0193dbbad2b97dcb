# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Does the runs of a study: makes what they need, once, and measures them."""

from collections.abc import Callable, Mapping
import time

from absl import logging
import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import preemption
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.studies import locks
from selfexplain_jax.studies import recipe as recipe_lib
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import study as study_lib
from selfexplain_jax.studies import sums as sums_lib

# Makes a folder from a config, unless it is finished, or goes on with it.
Stage = Callable[[ml_collections.ConfigDict, str], object]
MakePlan = Callable[[study_lib.Results], study_lib.Plan]

# Seconds until runs that other processes are at are looked at again.
_WAIT = 5.0


class Workshop:
  """A workdir in which recipes are made, each once, by several processes."""

  def __init__(self, workdir: files.PathLike, stages: Mapping[str, Stage]):
    """Takes the folder that everything is made in, and the stages by name."""
    self._workdir, self._stages = files.path(workdir), stages
    self._made: set[str] = set()
    self._failed: dict[str, Exception] = {}

  def make(self, recipe: recipe_lib.Recipe) -> None:
    """Makes a recipe and, before it, all that it is made from.

    What failed once fails again, for all that need it, without another try.
    """
    for source in recipe.inputs.values():
      self.make(source.recipe)
    if recipe.digest in self._made:
      return
    if recipe.digest in self._failed:
      raise self._failed[recipe.digest]
    # What another process has made, the stage finds finished.
    with locks.hold(self._workdir, recipe.folder):
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
  workdir: files.PathLike,
) -> dict[str, Exception]:
  """Does all runs that have no result, and those that they lead to.

  A run that fails does not keep others from being done. Several processes may
  sweep in one workdir: each takes the next run that nobody is at, and none ends
  before all runs have results.

  Args:
    plan: says which runs there are, given the results so far.
    results: those there are; the others are written beside them.
    work: does one run.
    workdir: that the processes share.

  Returns:
    The errors of runs that failed here, by the run's name.

  Raises:
    preemption.Preempted: when all that was begun is saved.
  """
  failed: dict[str, Exception] = {}

  def taken(run: study_lib.Run, count: int) -> bool:
    """Does a run, unless another process is at it."""
    with locks.hold(workdir, f'run-{run.digest}', wait=False) as held:
      # It may have been done between the plan and here.
      if held and results.of(run) is None:
        logging.info('Run: %s; %d to do', run.name, count)
        try:
          work(run).write(results.directory)
        except preemption.Preempted:
          raise
        except Exception as e:
          _tell(run, e)
          failed[run.name] = e
    return held

  waiting = False
  while True:
    preemption.check()
    to_do = [
      run
      for run in plan(results).runs
      if run.name not in failed and results.of(run) is None
    ]
    if not to_do:
      return failed
    if any(taken(run, len(to_do)) for run in to_do):
      waiting = False
    else:
      if not waiting:
        logging.info('Others are at all that can be done: waiting for them')
      waiting = True
      time.sleep(_WAIT)


def _tell(run: study_lib.Run, error: Exception) -> None:
  """Logs a failure, with its traceback if it is the program's fault."""
  known = isinstance(error, errors.InputError)
  logging.error(
    'Failed: %s: %s', run.name, error, exc_info=None if known else error
  )
