# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs every stage on the biographies world: from nothing to checked claims.

Pretrains a target and a stranger; makes explanations of the target's features,
of patches of its activations and of ablations of its input; trains one
explainer of all three from each of the two models; and checks what they claim
by running the target again. Stages that are finished are skipped.
"""

from collections.abc import Callable
from concurrent import futures
import functools
import operator
import os
import pathlib
from typing import Any

from absl import flags
from absl import logging
import ml_collections

from launch import cli
from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import pretrain_target
from launch import train_dictionary
from launch import train_explainer
from selfexplain_jax import files
from selfexplain_jax.distributed import preemption
from selfexplain_jax.reports import html
from selfexplain_jax.reports import text

# What the size of a stage is told by: fields of its config.
_SIZES = {
  pretrain_target: (
    'model.layers',
    'model.width',
    'world.people',
    'steps',
    'batch',
    'row_length',
  ),
  dump_activations: ('prompts.source', 'sites', 'dtype'),
  train_dictionary: ('features', 'k', 'steps', 'batch'),
  make_explanations: ('task',),
  train_explainer: ('steps', 'batch', 'row_length', 'examples_per_row'),
  evaluate_fidelity: ('split', 'examples'),
}

# Stages of a line need nothing of each other and run side by side: on small
# models each keeps one core busy.
_PLAN = (
  (('target', pretrain_target), ('stranger', pretrain_target)),
  (('store', dump_activations), ('documents', dump_activations)),
  (('dictionary', train_dictionary), ('patching', make_explanations)),
  (('features', make_explanations), ('ablation', make_explanations)),
  (
    ('self_explainer', train_explainer),
    ('stranger_explainer', train_explainer),
  ),
  (
    ('patching_evaluation', evaluate_fidelity),
    ('ablation_evaluation', evaluate_fidelity),
  ),
  (('features_evaluation', evaluate_fidelity),),
)
_TASKS = ('features', 'patching', 'ablation')

_SEED = flags.DEFINE_integer(
  'seed', 0, 'Added to the seed of every stage.', lower_bound=0
)


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Runs the stages in order."""
  if (
    '://' not in workdir
  ):  # Configs name folders in it, from wherever it is run.
    workdir = os.path.abspath(os.path.expanduser(workdir))
  out = files.path(workdir)
  config = config.copy_and_resolve_references()
  with config.unlocked():
    for fields in config.values():
      fields.seed += _SEED.value

  _connect(config, workdir)
  for number, stages in enumerate(_PLAN, 1):
    names = ' and '.join(name for name, _ in stages)
    logging.info('Step %d of %d: %s', number, len(_PLAN), names)
    if dry_run:
      for name, stage in stages:
        logging.info('%s: %s', name, _sizes(stage, config[name]))
      continue
    if len(stages) == 1:
      ((name, stage),) = stages
      stage.run(config[name], str(out / name))
    else:
      side_by_side(
        *(
          functools.partial(stage.run, config[name], str(out / name))
          for name, stage in stages
        )
      )
    preemption.check()
  if dry_run:
    return
  pages = {}
  for task in _TASKS:
    name = f'{task}_evaluation'
    figures = files.read_json(out / name / 'metrics.json', 'figures')
    print(f'\n{task}\n{text.table(figures)}')
    pages[f'{name}/{html.NAME}'] = figures
  html.write_index(out, pages)
  print(f'\nReport: {out / html.NAME}')


def _connect(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Names the inputs of every stage, which are other stages' folders."""
  out = files.path(workdir)

  def place(name: str, part: str = '') -> str:
    return str(out / name / part) if part else str(out / name)

  target = place('target', 'model')
  for name in ('store', 'documents', 'dictionary', *_TASKS):
    config[name].target = target
  config.dictionary.store = place('documents')
  config.patching.store = place('store')
  config.features.dictionary = place('dictionary')
  for name in ('self', 'stranger'):
    trained = config[f'{name}_explainer']
    trained.initial = place('target' if name == 'self' else name, 'model')
    for task in _TASKS:
      trained.explanations[task] = place(task)
      evaluated = config[f'{task}_evaluation']
      evaluated.explainers[name] = place(f'{name}_explainer', 'model')
      evaluated.target = evaluated.initial = target
      evaluated.explanations = place(task)
  config.features_evaluation.dictionary = place('dictionary')


def _sizes(stage: Any, config: ml_collections.ConfigDict) -> str:
  """The sizes of a stage in one line."""
  values = {name: operator.attrgetter(name)(config) for name in _SIZES[stage]}
  return ', '.join(f'{name} {value}' for name, value in values.items())


def side_by_side(*work: Callable[[], object]) -> None:
  """Does several things at once.

  If one fails the others are asked to leave, and its error is raised when they
  have left.
  """
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
  cli.launch(
    run,
    config='experiments/quickstart.py',
    workdir=str(
      pathlib.Path('~/.cache/selfexplain_jax/quickstart').expanduser()
    ),
  )
