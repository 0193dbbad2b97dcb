# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""What of an explainer matters: its width, depth, layers, or injection?

  python -m launch.sweep --workdir=DIR \
    --config=experiments/scaling/variations.py:injection

Explainers of patching are trained alike but for one thing, with two seeds, and
asked about test people, with the vectors asked about and with others'. The
argument says what is varied: `width` or `depth` of the model that an explainer
starts from, which read the target's corpus but is another; the `layers` that it
is trained on and asked about, by as many questions each; `injection`, how
vectors are shown to it. Explainers of another width than the target's, and
those compared with them, are shown vectors through a projection; of each depth
the first half of the blocks is frozen.

What is collected: scores, and each minus that of shuffled vectors, with
intervals and paired tests; of widths and depths fits as well; a table of all
runs (parquet and CSV), and a page. `:test` varies all, too small to learn
anything.
"""

from collections.abc import Mapping
import itertools
from typing import Any

import ml_collections
import pyarrow as pa

from experiments.privileged_access import recipes as recipes_lib
from selfexplain_jax import errors
from selfexplain_jax.explainer import injection
from selfexplain_jax.fidelity import statistics
from selfexplain_jax.reports import study_page
from selfexplain_jax.reports import wording
from selfexplain_jax.studies import curve_plot
from selfexplain_jax.studies import fits
from selfexplain_jax.studies import matrix
from selfexplain_jax.studies import results as results_lib
from selfexplain_jax.studies import scaling
from selfexplain_jax.studies import study

TASK = 'patching'
SEEDS = (0, 1)
_TARGET, _CORPUS = 'target', 'twin'
_METRICS = ('exact_match', 'exact_match_changed', 'macro_f1')
_LOOKS = 4  # On the validation split, in a run.
_THIRDS = ('early', 'middle', 'late')  # Of the target's layers.

# By what is varied, its values; the first of names is what others are compared
# with.
VALUES: dict[str, tuple[Any, ...]] = {
  'width': (32, 64, 96, 128, 192, 256),
  'depth': (1, 2, 3, 4, 6, 8),
  'layers': ('all', *_THIRDS),
  'injection': (
    'add_norm_matched',
    *(mode for mode in injection.MODES if mode != 'add_norm_matched'),
  ),
}
_TEST_VALUES: dict[str, tuple[Any, ...]] = {
  'width': (32, 48),
  'depth': (1, 2),
  'layers': ('all', 'early'),
  'injection': VALUES['injection'][:2],
}


def get_config(part: str = 'injection') -> ml_collections.ConfigDict:
  """Returns the configuration of one variation, or of all in small."""
  parts = (*VALUES, 'test')
  if part not in parts:
    raise ValueError(f'no part {part!r}: expected {", ".join(parts)}')
  test = part == 'test'
  config = ml_collections.ConfigDict()
  config.module = 'experiments.scaling.variations'
  config.name = part
  config.results = '' if test else 'experiments/results'
  config.size = 'test' if test else 'laptop'
  config.steps = 4 if test else 400
  config.rate = 0.007
  # That each third of layers has, so that data is the same for all.
  config.layer_examples = 4 if test else 1500
  config.varied = _TEST_VALUES if test else {part: VALUES[part]}
  config.seeds = (0,) if test else SEEDS
  return config


def plan(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Plan:
  """Returns the runs of one value after the other."""
  del results  # Nothing depends on them.
  runs = [
    _run(config, varied, value, seed)
    for varied, values in config.varied.items()
    for value, seed in itertools.product(values, config.seeds)
  ]
  return study.Plan(runs, 0)


def collect(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Collected:
  """Returns scores and tests of the runs that are done."""
  summary: dict = {
    'study': config.name,
    'steps': config.steps,
    'rate': config.rate,
    **plan(config, results).undone(results),
  }
  plots, tables, pages, text = {}, {}, {}, []
  for varied, values in config.varied.items():
    arms = {str(v): _seeds(config, varied, v, results) for v in values}
    arms = {value: seeds for value, seeds in arms.items() if seeds}
    if not arms:
      continue
    first = str(values[0])
    if varied == 'layers':  # Each is asked questions of its own.
      one: dict[str, Any] = {'rows': {}, 'tests': {}}
      for value, seeds in arms.items():
        for part, found in matrix.block(TASK, {value: seeds}, ()).items():
          one[part] |= found
    else:
      pairs = [(value, first) for value in arms if value != first]
      one = matrix.block(TASK, arms, pairs)
    summary[varied] = one
    if isinstance(values[0], str):
      plot = _dots(varied, one['rows'])
    else:
      one.update(_fitted(arms))
      plot = _curves(varied, one)
    plots[varied] = plot
    tables[f'{varied}_runs'] = table = pa.Table.from_pylist(
      [
        results_lib.row(result, matrix.OWN, {varied: value, 'seed': seed})
        for value, seeds in arms.items()
        for seed, result in seeds.items()
      ]
    )
    pages[f'{varied}_page'] = study_page.render(
      f'What of an explainer matters: its {varied}?',
      (__doc__ or '').split('\n\n')[2:-1],
      plot,
      {**summary, **{m: one.get(m) for m in _METRICS}},
      _METRICS if 'exact_match' in one else (),
      table.to_pylist(),
      scores={varied: study_page.scores(one, _METRICS)},
      kept=f'{varied}_runs',
    )
    text += [varied, *(f'  {line}' for line in _lines(one))]
  return study.Collected(
    summary, '\n'.join(text) or 'No run is done.', plots, tables, pages
  )


def _dots(varied: str, rows: dict[str, Any]) -> str:
  panels = {
    wording.plain(metric): {value: row[metric] for value, row in rows.items()}
    for metric in _METRICS
  }
  return curve_plot.dots(f'Scores by {varied}', panels)


def _curves(varied: str, one: dict[str, Any]) -> str:
  titles = {metric: wording.plain(metric) for metric in _METRICS}
  return curve_plot.curves(
    f'Scores by {varied}',
    {title: one[metric]['curves'] for metric, title in titles.items()},
    {
      title: {arm: fit['band'] for arm, fit in one[metric]['fits'].items()}
      for metric, title in titles.items()
    },
    over=varied,
  )


def _fitted(arms: Mapping[str, matrix.Seeds]) -> dict[str, Any]:
  """Fits of scores over a number, as if it were that of examples."""
  found: dict[str, Any] = {}
  for metric in _METRICS:
    curve = scaling.Curve(
      metric,
      tuple(map(int, arms)),
      tuple(
        matrix.stacked(metric, seeds, sorted(seeds), matrix.OWN)
        for seeds in arms.values()
      ),
    )
    bootstrap = statistics.Bootstrap(range(curve.groups))
    found[metric] = {
      'curves': {'explainer': curve.points(bootstrap)},
      'fits': {'explainer': fits.fit(curve)} if len(arms) > 1 else {},
      'ratios': {},
    }
  return found


def _lines(one: dict[str, Any]) -> list[str]:
  table = study_page.scores(one, _METRICS)
  columns = list(next(iter(table.values())))
  return [' | '.join(('', *columns))] + [
    ' | '.join((row, *(cells[column] for column in columns)))
    for row, cells in table.items()
  ]


def _seeds(
  config: ml_collections.ConfigDict,
  varied: str,
  value: Any,
  results: study.Results,
) -> dict[int, results_lib.Result]:
  """Results of a value by seed."""
  found = {
    seed: results.of(_run(config, varied, value, seed)) for seed in config.seeds
  }
  return {seed: one for seed, one in found.items() if one is not None}


def _run(
  config: ml_collections.ConfigDict, varied: str, value: Any, seed: int
) -> study.Run:
  recipes = recipes_lib.Recipes(config.size)
  fields = {
    'seed': seed,
    'steps': config.steps,
    'optimizer.peak_rate': config.rate,
    'evaluate_every': max(1, config.steps // _LOOKS),
    'checkpoint_every': max(1, config.steps // _LOOKS),
  }
  initial = recipes.model(_TARGET)
  blocks: tuple[tuple[int, int], ...] = ()
  match varied:
    case 'width':
      initial = recipes.shaped(_CORPUS, width=value)
      fields['projection.start'] = 'ridge'
    case 'depth':
      initial = recipes.shaped(_CORPUS, layers=value)
      fields['frozen.blocks'] = value // 2  # Of six it is three.
    case 'layers':
      blocks = () if value == 'all' else _within(recipes, value)
      fields['examples'] = config.layer_examples
    case 'injection':
      fields['injection'] = value
    case _:
      raise ValueError(f'nothing varies {varied!r}')
  trained = recipes.explainer((TASK,), _TARGET, initial, fields, blocks)
  explained = recipes.explanations(TASK, _TARGET, blocks=blocks)
  return study.Run(
    task=TASK,
    facts=dict(task=TASK, varied=varied, value=value, seed=seed),
    evaluation=recipes.evaluation(
      *(TASK, _TARGET, explained, trained, (matrix.OWN, matrix.SHUFFLED))
    ),
    explainer=trained,
  )


def _within(
  recipes: recipes_lib.Recipes, third: str
) -> tuple[tuple[int, int], ...]:
  """The usual blocks that begin and end within a third of the layers."""
  layers, index = (
    recipes.model(_TARGET).config.model.layers,
    _THIRDS.index(third),
  )
  start = layers * index // 3
  end = max(start + 1, layers * (index + 1) // 3)
  usual = recipes.explanations(TASK, _TARGET).config.blocks
  found = tuple(b for b in usual if start <= b[0] and b[1] < end)
  if not found:
    raise errors.InputError(
      f'no block of layers is within the {third} third, {start} to {end - 1}: '
      f'expected one of {usual} to be'
    )
  return found
