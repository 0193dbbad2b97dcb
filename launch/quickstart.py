# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs every stage on the biographies world: from nothing to checked claims.

Pretrains a target and a stranger, makes explanations of patches of the target,
trains an explainer from each of the two, and checks what they claim by running
the patches again. Stages that are finished are skipped.
"""

from concurrent import futures
import pathlib

from absl import flags
from absl import logging
import ml_collections

from launch import cli
from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import pretrain_target
from launch import train_explainer
from selfexplain_jax import files
from selfexplain_jax.distributed import preemption
from selfexplain_jax.reports import text

_SEED = flags.DEFINE_integer('seed', 0, 'Added to the seed of every stage.')


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Runs the stages in order."""
  out = files.path(workdir)
  config = config.copy_and_resolve_references()
  with config.unlocked():
    for stage in config.values():
      stage.seed += _SEED.value

  target, stranger = out / 'target/model', out / 'stranger/model'
  config.store.target = str(target)
  config.explanations.target = str(target)
  config.explanations.store = str(out / 'store')
  for name, initial in (('self', target), ('stranger', stranger)):
    trained = config[f'{name}_explainer']
    trained.initial = str(initial)
    trained.explanations = str(out / 'explanations')
    config.evaluation.explainers[name] = str(out / f'{name}_explainer/model')
  config.evaluation.target = config.evaluation.initial = str(target)
  config.evaluation.explanations = str(out / 'explanations')

  # Stages of a line need nothing of each other and run side by side: on small
  # models each keeps one core busy.
  plan = (
    (('target', pretrain_target), ('stranger', pretrain_target)),
    (('store', dump_activations),),
    (('explanations', make_explanations),),
    (
      ('self_explainer', train_explainer),
      ('stranger_explainer', train_explainer),
    ),
    (('evaluation', evaluate_fidelity),),
  )
  for number, stages in enumerate(plan, 1):
    names = ' and '.join(name for name, _ in stages)
    logging.info('Step %d of %d: %s', number, len(plan), names)
    if dry_run:
      for name, _ in stages:
        logging.info('%s', config[name].to_json_best_effort(sort_keys=True))
      continue
    with futures.ThreadPoolExecutor(len(stages)) as pool:
      running = [
        pool.submit(stage.run, config[name], str(out / name))
        for name, stage in stages
      ]
    for stage_run in running:
      stage_run.result()
    preemption.check()
  if not dry_run:
    figures = files.read_json(out / 'evaluation/metrics.json', 'figures')
    print(text.table(figures))
    print(f'\nReport: {out / "evaluation/report.html"}')


if __name__ == '__main__':
  cli.launch(
    run,
    config='experiments/quickstart.py',
    workdir=str(
      pathlib.Path('~/.cache/selfexplain_jax/quickstart').expanduser()
    ),
  )
