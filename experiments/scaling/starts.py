# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""How does what an explainer learns grow with its data, by where it starts?

  python -m launch.sweep --workdir=DIR --config=experiments/scaling/starts.py

Explainers of patching that start from the target (self), from a model of the
same corpus and other weights (twin) and from another model (stranger) are
trained on the first 100, 300, 1,000 … examples and on all, with two seeds each:
36 runs of 400 steps, a few minutes each on one core. The learning rate is the
same for all, the default of explainers, so nothing is chosen but the look with
the highest exact match on the validation split.

What is collected: the curves, a saturating power law through each with bands
that resample test people, how many times as many examples twin and stranger
need for the scores of self, a table of all runs (parquet and CSV), and a page.
`:test` is too small to learn anything.
"""

import itertools

import ml_collections
import pyarrow as pa

from experiments.privileged_access import recipes as recipes_lib
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.reports import study_page
from selfexplain_jax.reports import wording
from selfexplain_jax.studies import curve_plot
from selfexplain_jax.studies import fits
from selfexplain_jax.studies import matrix
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import scaling
from selfexplain_jax.studies import study

NAME = 'starts'
SIZES = (100, 300, 1000, 3000, 10_000, 0)  # 0 is for all that there are.
SEEDS = (0, 1)
ARMS = {'self': 'target', 'twin': 'twin', 'stranger': 'stranger'}
TASK = 'patching'
_TARGET = 'target'
_METRICS = ('exact_match', 'exact_match_changed', 'macro_f1')
_LOOKS = 4  # On the validation split, in a run.


def get_config(part: str = 'all') -> ml_collections.ConfigDict:
  """Returns the configuration of the study, or of one too small to tell."""
  if part not in ('all', 'test'):
    raise ValueError(f'no part {part!r}: expected all or test')
  test = part == 'test'
  config = ml_collections.ConfigDict()
  config.module = 'experiments.scaling.starts'
  config.name = NAME
  config.results = '' if test else 'experiments/results'
  config.size = 'test' if test else 'laptop'
  config.steps = 4 if test else 400
  config.rate = 0.007
  config.sizes = (8, 0) if test else SIZES
  config.seeds = (0,) if test else SEEDS
  return config


def plan(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Plan:
  """Returns the runs, the smallest first."""
  del results  # Nothing depends on them.
  return study.Plan(
    [
      _run(config, arm, size, seed)
      for size, seed, arm in itertools.product(config.sizes, config.seeds, ARMS)
    ],
    0,
  )


def collect(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Collected:
  """Returns curves, fits and ratios, of the runs that are done."""
  found = {arm: _points(config, arm, results) for arm in ARMS}
  done = [
    (arm, seed, result)
    for arm, points in found.items()
    for seeds in points.values()
    for seed, result in seeds.items()
  ]
  summary: dict = {
    'study': NAME,
    'steps': config.steps,
    'rate': config.rate,
    **plan(config, results).undone(results),
  }
  if not done:
    return study.Collected(summary, 'No run is done.', {})
  for arm, points in found.items():
    for seeds in points.values():
      matrix.check_same(arm, done[0][-1], seeds.values())
  panels, bands = {}, {}
  for metric in _METRICS:
    summary[metric] = one = _metric(metric, found)
    title = wording.plain(metric)
    panels[title] = one['curves']
    bands[title] = {arm: fit['band'] for arm, fit in one['fits'].items()}
  summary['by_examples'] = blocks = {
    size: matrix.block(
      TASK,
      {arm: points[size] for arm, points in found.items() if size in points},
      [(arm, 'self') for arm in ARMS if arm != 'self'],
    )
    for size in sorted({size for points in found.values() for size in points})
  }
  plot = curve_plot.curves(
    'Scores over the number of training examples, by where an explainer starts',
    panels,
    bands,
  )
  table = pa.Table.from_pylist(
    [
      results_lib.row(result, matrix.OWN, {'arm': arm, 'seed': seed})
      for arm, seed, result in done
    ]
  )
  about = (__doc__ or '').split('\n\n')
  return study.Collected(
    summary,
    _text(summary),
    {'curves': plot},
    {'runs': table},
    {
      'study': study_page.render(
        about[0],
        about[2:-1],
        plot,
        summary,
        _METRICS,
        table.to_pylist(),
        scores={
          f'{size:,} examples': study_page.scores(block, _METRICS)
          for size, block in blocks.items()
        },
      )
    },
  )


def _metric(metric: str, found: dict) -> dict:
  """Curves, fits and ratios of one metric."""
  curves = {
    arm: scaling.Curve(
      metric,
      tuple(points),
      tuple(
        matrix.stacked(metric, seeds, sorted(seeds), matrix.OWN)
        for seeds in points.values()
      ),
    )
    for arm, points in found.items()
    if points
  }
  bootstrap = statistics.Bootstrap(range(next(iter(curves.values())).groups))
  return {
    'curves': {
      arm: [
        {**point, 'seeds': len(found[arm][point['examples']])}
        for point in curve.points(bootstrap)
      ]
      for arm, curve in curves.items()
    },
    'fits': {
      arm: fits.fit(curve)
      for arm, curve in curves.items()
      if len(curve.examples) > 1
    },
    'ratios': {
      arm: scaling.examples_ratio(curves['self'], curve)
      for arm, curve in curves.items()
      if 'self' in curves and arm != 'self'
    },
  }


def _text(summary: dict) -> str:
  lines = []
  for metric in _METRICS:
    lines.append(wording.plain(metric))
    for arm, points in summary[metric]['curves'].items():
      scores = '  '.join(
        f'{p["examples"]:,}: {p["value"]:.3f}'
        for p in points
        if p['value'] is not None
      )
      lines.append(f'  {arm:<9} {scores}')
    for arm, fit in summary[metric]['fits'].items():
      told = ', '.join(
        f'{name} {p["value"]:.2f} [{p["ci95"][0]:.2f}, {p["ci95"][1]:.2f}]'
        for name, p in fit['parameters'].items()
      )
      lines.append(f'  {arm:<9} {fit["form"]}: {told}')
  return '\n'.join(lines)


def _points(
  config: ml_collections.ConfigDict, arm: str, results: study.Results
) -> dict[int, dict[int, results_lib.Result]]:
  """Results of an arm by examples and seed."""
  points: dict[int, dict[int, results_lib.Result]] = {}
  for size, seed in itertools.product(config.sizes, config.seeds):
    result = results.of(_run(config, arm, size, seed))
    if result is not None:
      points.setdefault(result.examples, {})[seed] = result
  return dict(sorted(points.items()))


def _run(
  config: ml_collections.ConfigDict, arm: str, examples: int, seed: int
) -> study.Run:
  recipes = recipes_lib.Recipes(config.size)
  trained = recipes.explainer(
    (TASK,),
    _TARGET,
    recipes.model(ARMS[arm]),
    {
      'seed': seed,
      'steps': config.steps,
      'examples': examples,
      'optimizer.peak_rate': config.rate,
      'evaluate_every': max(1, config.steps // _LOOKS),
      'checkpoint_every': max(1, config.steps // _LOOKS),
    },
  )
  explained = recipes.explanations(TASK, _TARGET)
  return study.Run(
    task=TASK,
    facts=dict(task=TASK, arm=arm, examples=examples, seed=seed),
    evaluation=recipes.evaluation(
      *(TASK, _TARGET, explained, trained, (matrix.OWN, matrix.SHUFFLED))
    ),
    explainer=trained,
  )
