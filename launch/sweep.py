# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Does the runs of a study that have no result yet, and collects the results.

A run is an explainer that is trained and evaluated. Models, stores and
explanation sets that runs share are made once in WORKDIR. A finished run leaves
one small JSON file in the folder of results, which can be kept in the
repository: such a run is never done again, in whatever workdir. Killed at any
moment, the same command goes on. Started several times, each on a core
(`taskset -c 1 python …`) or an accelerator of its own, the processes share the
runs of a WORKDIR that is no object store.

From those files alone it writes `summary.json` and plots; `--collect` does no
more than that, for a study that is still under way.
"""

import importlib
import os
import pathlib
import statistics
from typing import Any

from absl import flags
from absl import logging
import ml_collections
from pyarrow import csv
from pyarrow import parquet

from launch import cli
from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import pretrain_target
from launch import train_dictionary
from launch import train_explainer
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.studies import commands
from selfexplain_jax.studies import derived
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import study as study_lib
from selfexplain_jax.studies import workshop

_STAGES = {
  'dump_activations': dump_activations.run,
  'evaluate_fidelity': evaluate_fidelity.run,
  'make_explanations': make_explanations.run,
  'pretrain_target': pretrain_target.run,
  'rotate': derived.rotate,
  'subset': derived.subset,
  'train_dictionary': train_dictionary.run,
  'train_explainer': train_explainer.run,
}

# What their configs differ from by flags; of explanation sets by task.
_BASES = {
  'dump_activations': 'experiments/world/dump.py',
  'evaluate_fidelity': 'experiments/evaluation.py',
  'features': 'experiments/features/explanations.py',
  'patching': 'experiments/patching/explanations.py',
  'ablation': 'experiments/ablation/explanations.py',
  'pretrain_target': 'experiments/world/pretrain.py:target',
  'train_dictionary': 'experiments/features/dictionary.py',
  'train_explainer': 'experiments/explainer.py',
}

_LIST = flags.DEFINE_bool(
  'list', False, 'Print the runs, and which are done, and stop.'
)

_COLLECT = flags.DEFINE_bool(
  'collect', False, 'Run nothing, and collect the results that there are.'
)

_COMMANDS = flags.DEFINE_string(
  'commands',
  None,
  'Print a command for each stage of the runs without a result, in order, for '
  'machines that no sweep runs on, and stop; this is what each begins with, '
  'such as "python -m launch." or "launch/pods/tpu_vm.sh --name=N … -- ". '
  'Afterwards a sweep in the same workdir finds them done, and collects.',
)


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Does the runs, and collects their results."""
  cli.require_least(config, steps=1)
  if hosts.count() > 1:
    raise errors.InputError(
      f'--processes={hosts.count()}: expected 1, a study shares its runs '
      'out to processes that are started each by itself'
    )
  module = _module(cli.field(config, 'module'))
  if '://' not in workdir:
    workdir = os.path.abspath(os.path.expanduser(workdir))
  place = _place(config, workdir)
  results = study_lib.Results(place / results_lib.RUNS)

  def plan(found: study_lib.Results) -> study_lib.Plan:
    return module.plan(config, found)

  asked = (dry_run or _LIST.value, _COLLECT.value, _COMMANDS.value is not None)
  if sum(asked) > 1:
    raise errors.InputError(
      '--collect writes a summary, --commands prints commands, and --list and '
      '--dry_run what there is to do: expected one of them'
    )
  if dry_run or _LIST.value:
    print(_listed(plan(results), results))
    return
  if _COMMANDS.value is not None:
    known = plan(results)
    to_do = (one.evaluation for one in known.runs if results.of(one) is None)
    for line in commands.lines(to_do, workdir, _COMMANDS.value, _BASES):
      print(line)
    if known.later:
      logging.warning(
        'About %d other runs depend on the results of these: ask again when a '
        'sweep has collected them',
        known.later,
      )
    return
  failed = {}
  if not _COLLECT.value:
    logging.info('%s', _sizes(plan(results), results))
    shop = workshop.Workshop(workdir, _STAGES)
    failed = workshop.sweep(plan, results, shop.run, workdir)

  # What they show.
  collected = module.collect(config, results)
  summary = place / config.name
  files.write_json(summary / results_lib.SUMMARY, collected.summary)
  for name, svg in collected.plots.items():
    files.write_text(summary / f'{name}.svg', svg + '\n')
  for name, page in collected.pages.items():
    files.write_text(summary / f'{name}.html', page)
  for name, table in collected.tables.items():
    with files.writing(summary / f'{name}.parquet') as kept:
      parquet.write_table(table, kept)
    with files.writing(summary / f'{name}.csv') as kept:
      csv.write_csv(table, kept)
  print(collected.text)
  print(f'\nResults: {summary}')
  if failed:
    name, first = next(iter(failed.items()))
    message = (
      f'{len(failed)} runs failed, and what depends on them was not begun; the '
      f'first, {name}: {first}'
    )
    if all(isinstance(e, errors.InputError) for e in failed.values()):
      raise errors.InputError(message)
    raise RuntimeError(message) from first


def _module(name: str) -> Any:
  """Imports the module of a study."""
  try:
    module = importlib.import_module(name)
  # The others if the name is empty, or relative.
  except (ModuleNotFoundError, ValueError, TypeError) as e:
    raise errors.InputError(
      f'config.module is {name!r}: expected a module that can be imported ({e})'
    ) from e
  for needed in ('plan', 'collect'):
    if not hasattr(module, needed):
      raise errors.InputError(
        f'config.module is {name!r}, which has no {needed}: expected a study'
      )
  return module


def _place(config: ml_collections.ConfigDict, workdir: str) -> Any:
  """Returns where results are: a folder of the repository, or another."""
  if not config.results:
    return files.path(workdir) / 'results'
  if '://' in config.results:
    return files.path(config.results)
  return pathlib.Path(__file__).parents[1] / files.path(config.results)


def _listed(plan: study_lib.Plan, results: study_lib.Results) -> str:
  """The runs with what is done of them, one a line, and their sizes."""
  lines = [
    f'{"to do" if results.of(run) is None else "done":<6} {run.digest[:16]}  '
    f'{run.name}'
    for run in plan.runs
  ]
  return '\n'.join([*lines, _sizes(plan, results)])


def _sizes(plan: study_lib.Plan, results: study_lib.Results) -> str:
  """How much there is to do, in one line."""
  to_do = [run for run in plan.runs if results.of(run) is None]
  taken = [r.minutes for run in plan.runs if (r := results.of(run)) is not None]
  # Runs that were done tell best what others will take.
  usual = (
    statistics.median(taken)
    if taken
    else statistics.fmean(map(_minutes, plan.runs))
  )
  minutes = usual * (len(to_do) + plan.later)
  return (
    f'{len(plan.runs)} runs, {len(to_do)} of them to do and about {plan.later} '
    f'that depend on these; roughly {minutes:.1f} minutes of one process, '
    'besides what they share'
  )


def _minutes(run: study_lib.Run) -> float:
  """About how long the training of a run takes."""
  if run.explainer is None:
    return 0.0
  config = run.explainer.config
  rows = config.batch + config.replay.batch
  pretrained = next(
    recipe
    for recipe in run.explainer.inputs['initial'].recipe.all()
    if recipe.stage == 'pretrain_target'
  )
  # Without the embedding, which is looked up.
  shape = config_lib.DecoderConfig(vocabulary=1, **pretrained.config.model)
  tokens = config.steps * rows * config.row_length
  return estimate.minutes(estimate.training(shape.weights, tokens))


if __name__ == '__main__':
  cli.launch(run, config='experiments/privileged_access/study.py')
