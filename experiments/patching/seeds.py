# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Self, stranger and twin over several training seeds, on one target.

  python -m experiments.patching.seeds --workdir=DIR

The world has twice as many people as the quickstart's, and explainers train
longer. Trains one from each of the three models for each seed, on the same
examples, and evaluates them on held-out people. Finished parts are skipped, so
the command can be killed and repeated. Seeds can also run side by side, once
what they share is made:

  python -m experiments.patching.seeds --workdir=DIR '--config.seeds=()'
  python -m experiments.patching.seeds --workdir=DIR '--config.seeds=(0,)' &
  python -m experiments.patching.seeds --workdir=DIR '--config.seeds=(1,)' &

A last run for all of them collects the figures into DIR/results.json, which a
run for fewer than three does not write.
"""

import statistics
from typing import Any

from absl import logging
import ml_collections

from experiments.patching import evaluation
from experiments.patching import explainer
from experiments.patching import explanations
from experiments.world import dump
from experiments.world import pretrain
from launch import cli
from launch import dump_activations
from launch import evaluate_fidelity
from launch import make_explanations
from launch import pretrain_target
from launch import train_explainer
from selfexplain_jax import files

_INITIAL = {'self': 'target', 'stranger': 'stranger', 'twin': 'twin'}
_METRICS = ('exact_match', 'exact_match_changed', 'macro_f1')
_GAPS = (
  'self_minus_stranger',
  'self_minus_twin',
  'self_minus_shuffled_vector',
  'self_minus_metadata',
)
_LEAST_SEEDS = 3


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.seeds = (0, 1, 2)
  config.people = 400
  config.pretraining_steps = 700
  config.explanations = explanations.get_config()
  config.explanations.quota = dict(train=1200, validation=40, test=80)
  config.explainer = explainer.get_config()
  config.explainer.steps = 2400
  config.explainer.evaluate_every = 400
  config.explainer.validation_examples = 512
  config.evaluation = evaluation.get_config()
  return config


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Runs what is not finished, and collects the figures."""
  out = files.path(workdir)
  if dry_run:
    logging.info('%d explainers', len(_INITIAL) * len(config.seeds))
    return
  for name in _INITIAL.values():
    model = pretrain.get_config(name)
    model.world.people = config.people
    model.steps = config.pretraining_steps
    pretrain_target.run(model, str(out / name))
  target = str(out / 'target/model')
  store = dump.get_config()
  store.target = target
  dump_activations.run(store, str(out / 'store'))
  config.explanations.target = target
  config.explanations.store = str(out / 'store')
  make_explanations.run(config.explanations, str(out / 'explanations'))

  figures = []
  for seed in config.seeds:
    here = out / f'seed_{seed}'
    evaluated = config.evaluation.copy_and_resolve_references()
    evaluated.target = evaluated.initial = target
    evaluated.explanations = str(out / 'explanations')
    for arm, initial in _INITIAL.items():
      trained = config.explainer.copy_and_resolve_references()
      trained.seed = seed
      trained.initial = str(out / initial / 'model')
      trained.explanations = str(out / 'explanations')
      train_explainer.run(trained, str(here / arm))
      evaluated.explainers[arm] = str(here / arm / 'model')
    evaluate_fidelity.run(evaluated, str(here / 'evaluation'))
    figures.append(
      files.read_json(here / 'evaluation/metrics.json', 'figures of a seed')
    )
  if len(figures) < _LEAST_SEEDS:
    logging.info('No results: they are collected over %d seeds', _LEAST_SEEDS)
    return
  results = collect(figures)
  files.write_json(out / 'results.json', results)
  for name, by_metric in results.items():
    logging.info('%-28s %s', name, by_metric)


def collect(figures: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
  """Returns each arm's and each gap's mean over seeds, and their values.

  Gaps have their intervals and p by seed too, and whether their sign is the
  same for all. Those over balanced cells alone are named `balanced_*`. A figure
  that is undefined for a seed is None there, and the mean is over the others.

  Args:
    figures: the content of metrics.json of each seed.
  """
  results: dict[str, dict[str, Any]] = {}
  for prefix in ('', 'balanced_'):
    rows = [f.get(f'{prefix}rows', {}) for f in figures]
    tests = [f.get(f'{prefix}tests', {}) for f in figures]
    for name in sorted(set().union(*rows)):
      results[prefix + name] = {
        metric: _over_seeds([r[name][metric] for r in rows if name in r])
        for metric in _METRICS
      }
    for name in _GAPS:
      shown = [t[name] for t in tests if name in t]
      if not shown:
        continue
      results[prefix + name] = {
        metric: {
          **_over_seeds([t[metric] for t in shown]),
          'ci95_by_seed': [t[metric]['ci95'] for t in shown],
          'p_by_seed': [t[metric]['p'] for t in shown],
          'same_sign': _same_sign([t[metric]['value'] for t in shown]),
        }
        for metric in _METRICS
      }
  return results


def _over_seeds(estimates: list[dict[str, Any]]) -> dict[str, Any]:
  values = [estimate['value'] for estimate in estimates]
  defined = [value for value in values if value is not None]
  return {
    'mean': statistics.fmean(defined) if defined else None,
    'by_seed': values,
  }


def _same_sign(values: list[float | None]) -> bool:
  """Whether all are above 0, or all below."""
  defined = [v for v in values if v is not None]
  return len(defined) == len(values) and (
    all(v > 0 for v in defined) or all(v < 0 for v in defined)
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/seeds.py')
