# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""How many examples does privileged access save?

  python -m launch.sweep --workdir=DIR \
    --config=experiments/scaling/examples.py

Explainers that start from the target (self) and from a stranger are trained on
the first 100, 300, 1,000 … examples and on all that there are, for the same
number of steps. Beside them stands the nearest training vector among as many
examples. What is collected: the curves, and how many times as many examples the
stranger and the nearest neighbour need for the scores of self.

Learning rates, and the runs with all examples, are those of the study of
privileged access. With fewer an explainer is looked at more often, and the look
with the highest exact match on the validation split is kept: what is few is
soon learnt by heart. The ends of the curves have a second seed. An argument
names one question type (`:patching`, `:features`, `:ablation`) whose runs alone
are done; `:test` is too small to learn anything.
"""

import itertools

import ml_collections

from experiments.privileged_access import recipes as recipes_lib
from experiments.privileged_access import study as privileged_access
from selfexplain_jax import errors
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import wording
from selfexplain_jax.studies import curve_plot
from selfexplain_jax.studies import matrix
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import scaling
from selfexplain_jax.studies import study
from selfexplain_jax.studies import sums as sums_lib

NAME = 'scaling'
SIZES = (100, 300, 1000, 3000, 10_000, 30_000)
SEEDS = (0, 1)  # The second at the ends alone.
ARMS = {'self': 'target', 'stranger': 'stranger'}
NEIGHBOUR = 'nearest_neighbour'
_TARGET = 'target'
_METRICS = {
  'features': ('exact_match', 'simulator'),
  'patching': ('exact_match', 'exact_match_changed', 'macro_f1'),
  'ablation': ('exact_match', 'exact_match_changed', 'macro_f1'),
}
_PARTS = ('all', 'test', *_METRICS)
_PLOTTED = 'exact_match'
_UNTRAINED = 'untrained'
_LOOKS = 8  # Of an explainer with few examples, on the validation split.


def get_config(part: str = 'all') -> ml_collections.ConfigDict:
  """Returns the configuration of all of the study, or of a part of it."""
  if part not in _PARTS:
    raise ValueError(f'no part {part!r}: expected {", ".join(_PARTS)}')
  test = part == 'test'
  config = ml_collections.ConfigDict()
  config.module = 'experiments.scaling.examples'
  config.name = NAME
  config.results = '' if test else 'experiments/results'
  config.part = part
  config.steps = privileged_access.get_config(part).steps
  config.sizes = (8,) if test else SIZES
  config.seeds = (0,) if test else SEEDS
  return config


def plan(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Plan:
  """Returns the runs that are known by now, of one task after the other."""
  plans = [_plan(config, task, results) for task in _tasks(config)]
  runs = [run for found in plans for run in found.runs]
  return study.Plan(runs, sum(found.later for found in plans))


def _tasks(config: ml_collections.ConfigDict) -> tuple[str, ...]:
  if config.part not in _PARTS:
    raise errors.InputError(
      f'config.part is {config.part!r}: expected one of {", ".join(_PARTS)}'
    )
  if not config.seeds:
    raise errors.InputError('config.seeds is empty: expected one or more')
  if config.part == 'all':
    return tuple(_METRICS)
  return ('patching',) if config.part == 'test' else (config.part,)


def _plan(
  config: ml_collections.ConfigDict, task: str, results: study.Results
) -> study.Plan:
  runs: list[study.Run] = []
  later = 0
  seeds = tuple(config.seeds)
  sizes = _sizes(config, task, results)
  for arm in ARMS:
    swept = _sweep(config, task, arm, results)
    runs += swept
    rate = study.best_rate(swept, results)
    if rate is None or sizes is None:
      later += len(config.sizes) + 2 * (len(seeds) - 1)
      continue
    # 0 for all; what begins at the ends can be read early.
    ends = (0, *sizes[:1])
    wanted = [(size, seeds[0]) for size in sizes]
    wanted += [(size, seed) for seed in seeds[1:] for size in ends]
    runs += [_run(config, task, arm, size, rate, seed) for size, seed in wanted]
  if sizes is None:
    later += len(config.sizes)
  runs += [_neighbour(config, task, size) for size in (*(sizes or ()), 0)]
  return study.Plan(runs, later)


def collect(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Collected:
  """Returns curves and ratios of every question type that has results.

  Of all of them, whichever part of the study was run.
  """
  whole = config.copy_and_resolve_references()
  if config.part != 'test':
    whole.part = 'all'
  summary: dict = {
    'study': NAME,
    'steps': config.steps,
    'looks_with_fewer_examples': _LOOKS,
    **plan(whole, results).undone(results),
  }
  texts, panels = [], {}
  for task in _tasks(whole):
    summary[task], text = _collect(whole, task, results)
    if text:
      texts.append(text)
      panels[f'{task}, {_PLOTTED}'] = summary[task][_PLOTTED]['curves']
  drawn = {}
  if panels:
    about = 'Scores of each question type over the number of training examples'
    drawn['examples'] = curve_plot.curves(about, panels)
  return study.Collected(summary, '\n'.join(texts), drawn)


def _collect(
  config: ml_collections.ConfigDict, task: str, results: study.Results
) -> tuple[dict, str]:
  """Curves and ratios of one question type by metric, and as text."""
  found = _found(config, task, results)
  every = [
    (arm, result)
    for arm, (_, points) in found.items()
    for seeds in points.values()
    for result in seeds.values()
  ]
  beside = results.of(_baselines(config, task))
  if beside is not None:
    every.append((_UNTRAINED, beside))
  for arm, result in every:
    matrix.check_same(arm, every[0][1], [result])
  summary: dict = {}
  lines: list[str] = []
  for metric in _METRICS[task]:
    curves = {
      arm: scaling.Curve(
        metric,
        tuple(points),
        tuple(
          matrix.stacked(metric, seeds, sorted(seeds), own)
          for seeds in points.values()
        ),
      )
      for arm, (own, points) in found.items()
      if points
    }
    if not curves:
      continue
    groups = next(iter(curves.values())).groups
    bootstrap = statistics.Bootstrap(range(groups))
    panel = {
      arm: [
        {**point, 'seeds': len(found[arm][1][point['examples']])}
        for point in curve.points(bootstrap)
      ]
      for arm, curve in curves.items()
    }
    ratios = {
      arm: scaling.examples_ratio(curves['self'], curve)
      for arm, curve in curves.items()
      if 'self' in curves and arm != 'self'
    }
    summary[metric] = {'curves': panel, 'ratios': ratios}
    if beside is not None:
      summary[metric][_UNTRAINED] = bootstrap.statistic(
        matrix.stacked(metric, {0: beside}, [0], _UNTRAINED),
        sums_lib.over_seeds(metric),
      ).to_json()
    lines += _lines(f'{task}, {wording.plain(metric)}', panel, ratios)
  return summary, '\n'.join(lines)


def _lines(title: str, panel: dict, ratios: dict) -> list[str]:
  """Curves and ratios of one metric, as text."""
  lines = [title]
  for arm, points in panel.items():
    for point in points:
      value, ends = point['value'], numbers.bounds(point)
      shown = 'undefined' if value is None else f'{value:.3f}'
      interval = '' if ends is None else f' [{ends[0]:.3f}, {ends[1]:.3f}]'
      lines.append(
        f'  {wording.plain(arm):<18} {point["examples"]:>7} examples  '
        f'{shown}{interval}'
      )
  for arm, ratio in ratios.items():
    lines.append(
      f'  {wording.plain(arm)} needs for the scores of self: '
      f'{numbers.times(ratio)}'
    )
  return [*lines, '']


def _found(
  config: ml_collections.ConfigDict, task: str, results: study.Results
) -> dict[str, tuple[str, dict[int, dict[int, results_lib.Result]]]]:
  """By arm, its name in evaluations and results by examples and seed."""
  found: dict[str, tuple[str, dict[int, dict[int, results_lib.Result]]]] = {}
  sizes = (*(_sizes(config, task, results) or ()), 0)
  for arm in ARMS:
    points: dict[int, dict[int, results_lib.Result]] = {}
    rate = study.best_rate(_sweep(config, task, arm, results), results)
    if rate is not None:
      for size, seed in itertools.product(sizes, config.seeds):
        result = results.of(_run(config, task, arm, size, rate, seed))
        if result is not None:
          points.setdefault(result.examples, {})[seed] = result
    found[arm] = (matrix.OWN, points)
  neighbours = (results.of(_neighbour(config, task, size)) for size in sizes)
  found[NEIGHBOUR] = (
    NEIGHBOUR,
    {r.examples: {0: r} for r in neighbours if r is not None},
  )
  return found


def _sizes(
  config: ml_collections.ConfigDict, task: str, results: study.Results
) -> tuple[int, ...] | None:
  """The sizes below all that there is; None before that is known."""
  for run in _sweep(config, task, 'self', results):
    result = results.of(run)
    if result is not None:
      return tuple(size for size in config.sizes if size < result.examples)
  return None


def _sweep(
  config: ml_collections.ConfigDict,
  task: str,
  arm: str,
  results: study.Results,
) -> list[study.Run]:
  """The runs among which the learning rate is chosen, on all examples."""
  return privileged_access.sweep(_whole(config), task, _TARGET, arm, results)


def _whole(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """The study that the runs with all examples are of."""
  whole = privileged_access.get_config(config.part)
  whole.steps = config.steps
  return whole


def _recipes(config: ml_collections.ConfigDict) -> recipes_lib.Recipes:
  return recipes_lib.Recipes('test' if config.part == 'test' else 'laptop')


def _baselines(config: ml_collections.ConfigDict, task: str) -> study.Run:
  return privileged_access.baselines(_whole(config), task, _TARGET)


def _run(
  config: ml_collections.ConfigDict,
  task: str,
  arm: str,
  examples: int,
  rate: float,
  seed: int,
) -> study.Run:
  all_of_them = privileged_access.run(
    _whole(config), task, _TARGET, arm, rate, seed
  )
  if not examples:
    return all_of_them
  recipes = _recipes(config)
  trained = recipes.explainer(
    (task,),
    _TARGET,
    recipes.model(ARMS[arm]),
    {
      'seed': seed,
      'steps': config.steps,
      'examples': examples,
      'optimizer.peak_rate': rate,
      'evaluate_every': max(1, config.steps // _LOOKS),
    },
  )
  explained = recipes.explanations(task, _TARGET)
  return study.Run(
    task=task,
    facts={**all_of_them.facts, 'examples': examples},
    evaluation=recipes.evaluation(
      task, _TARGET, explained, trained, (matrix.OWN,)
    ),
    explainer=trained,
  )


def _neighbour(
  config: ml_collections.ConfigDict, task: str, examples: int
) -> study.Run:
  """The nearest neighbour among as many examples, 0 for all."""
  if not examples:
    return _baselines(config, task)
  recipes = _recipes(config)
  explained = recipes.explanations(task, _TARGET, examples)
  return study.Run(
    task=task,
    facts=dict(task=task, arm=NEIGHBOUR, examples=examples),
    evaluation=recipes.evaluation(task, _TARGET, explained, None, (NEIGHBOUR,)),
    explainer=None,
  )
