# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs the stages of an experiment in one workdir, each in a folder of its own.

The config has a part for each stage, the stage's own config, and says which
binary each is, in which order they run, and which fields of theirs name folders
of other stages. Stages that are finished are skipped.
"""

from collections.abc import Callable, Iterator
from concurrent import futures
import functools
import operator
import os
from typing import Any

from absl import flags
from absl import logging
import ml_collections

from launch import cli
from launch import dump_activations
from launch import evaluate_fidelity
from launch import import_explainer
from launch import make_explanations
from launch import pretrain_target
from launch import train_dictionary
from launch import train_explainer
from launch import train_simulator
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.reports import html
from selfexplain_jax.reports import text

# What the size of a stage is told by before its inputs are there: fields of its
# config.
_SIZES = {
  dump_activations: ('prompts.source', 'sites', 'dtype'),
  train_dictionary: ('features', 'k', 'steps', 'batch'),
  make_explanations: ('task',),
  train_simulator: ('steps', 'batch', 'length'),
  train_explainer: ('steps', 'batch', 'row_length', 'examples_per_row'),
  evaluate_fidelity: ('split', 'examples'),
}
_BINARIES = {
  stage.__name__.removeprefix('launch.'): stage
  for stage in (pretrain_target, import_explainer, *_SIZES)
}

_SEED = flags.DEFINE_integer(
  'seed', 0, 'Added to the seed of every stage.', lower_bound=0
)


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Runs the stages in order, those of a line of the plan side by side."""
  if (
    '://' not in workdir
  ):  # Configs name folders in it, from wherever it is run.
    workdir = os.path.abspath(os.path.expanduser(workdir))
  out = files.path(workdir)
  config = config.copy_and_resolve_references()
  stages = _stages(config)
  with config.unlocked():
    for name in stages:
      config[name].seed += _SEED.value
  for name, field, source in _inputs(config):
    config[name].update_from_flattened_dict({field: str(out / source)})

  for number, line in enumerate(config.plan, 1):
    logging.info(
      'Step %d of %d: %s', number, len(config.plan), ' and '.join(line)
    )
    if dry_run:
      for name in line:
        _tell(name, stages[name], config, str(out / name))
      continue
    side_by_side(
      *(
        functools.partial(stages[name].run, config[name], str(out / name))
        for name in line
      )
    )
    preemption.check()
  if not dry_run:
    _show(out, [n for n in stages if stages[n] is evaluate_fidelity])
    trained = [n for n in stages if stages[n] is train_explainer]
    if trained and hosts.is_lead():
      print(
        f'Ask it: python -m launch.ask --explainer={out / trained[0]} '
        '--list=examples'
      )


def _stages(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns the binary of each stage, in the order of the plan.

  Raises:
    errors.InputError: if the config is of one stage alone, or names a stage or
      a binary that there is not.
  """
  cli.field(config, 'plan')
  found = {}
  for name in (name for line in config.plan for name in line):
    binary = config.stages.get(name)
    if binary not in _BINARIES or name not in config:
      raise errors.InputError(
        f'config.plan has {name!r}: expected a stage that config.stages gives '
        f'one of {", ".join(_BINARIES)}, and whose config is config.{name}'
      )
    found[name] = _BINARIES[binary]
  return found


def _inputs(
  config: ml_collections.ConfigDict,
) -> Iterator[tuple[str, str, str]]:
  """Yields stage, field of its config, and the folder that it is to name."""
  for place, source in config.inputs:
    name, _, field = place.partition('.')
    cli.field(config, place)
    yield name, field, source


def _tell(
  name: str, stage: Any, config: ml_collections.ConfigDict, workdir: str
) -> None:
  """Tells the size of a stage: its own dry run, if its inputs are there."""
  needed = [
    cli.field(config, place)
    for place, _ in config.inputs
    if place.startswith(f'{name}.')
  ]
  if all(files.path(folder).exists() for folder in needed):
    logging.info('%s:', name)
    stage.run(config[name], workdir, True)
    return
  values = [
    f'{field} {operator.attrgetter(field)(config[name])}'
    for field in _SIZES.get(stage, ())
  ]
  logging.info('%s: %s', name, ', '.join(values))


def _show(out: Any, evaluations: list[str]) -> None:
  """Prints the table of each evaluation, and writes a page for all."""
  hosts.barrier('the figures')
  if not hosts.is_lead():
    return
  pages = {}
  for name in evaluations:
    figures = files.read_json(out / name / 'metrics.json', 'figures')
    print(f'\n{figures["task"]}\n{text.table(figures)}')
    pages[f'{name}/{html.NAME}'] = figures
  html.write_index(out, pages)
  print(f'\nReport: {out / html.NAME}')


def side_by_side(*work: Callable[[], object]) -> None:
  """Does several things at once; a single one in this thread.

  Several processes, which wait for each other, do one after the other.

  If one fails the others are asked to leave, and its error is raised when they
  have left.
  """
  if len(work) == 1 or hosts.count() > 1:
    for one in work:
      one()
    return
  with futures.ThreadPoolExecutor(len(work)) as pool:
    running = [pool.submit(one) for one in work]
    ended, _ = futures.wait(running, return_when=futures.FIRST_EXCEPTION)
    failures = [e for one in ended if (e := one.exception()) is not None]
    if failures:
      preemption.ask()
  if failures:
    # One that was asked to leave has no news.
    raise min(failures, key=lambda e: isinstance(e, preemption.Preempted))


if __name__ == '__main__':
  cli.launch(run, config='experiments/quickstart.py')
