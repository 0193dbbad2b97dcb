# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Who explains a model best: it itself, or another that is like it in part?

  python -m launch.sweep --workdir=DIR \
    --config=experiments/privileged_access/study.py

Explainers that start from different models are trained on identical examples
about one target. An argument names one question type (`:patching`, `:features`,
`:ablation`) whose runs alone are done; `:longer` is a study of its own, of
ablation with three times as many steps; `:test` is four runs too small to learn
anything. Targets are the quickstart's `target` and `stranger`, each of which is
the other's stranger. What each arm shares with its target:

| arm | starts from | weights | coordinates | computation | corpus | facts |
|---|---|---|---|---|---|---|
| self | the target | yes | yes | yes | yes | yes |
| twin | other weights | no | no | no | yes | yes |
| stranger | another model | no | no | no | no | some |
| folded | the target, Q = 1 | yes | yes | yes | yes | yes |
| rotated | the target, rotated | up to Q | no | yes | yes | yes |
| self_ridge | the target | yes | yes | yes | yes | yes |
| rotated_ridge | the target, rotated | up to Q | no | yes | yes | yes |
| wide | a model 160 wide | no | no | no | no | some |
| multi_task | the target | yes | yes | yes | yes | yes |
| text_only | the target | yes | yes | yes | yes | yes |

"Some" facts: every model knows 75% of the same world's, drawn on its own. The
rotated model computes what the target does, but its residual stream is the
target's times an orthogonal Q. Its norms have no gains and its unembedding is
one of its own; so it is with `folded`, whose Q is 1. What `folded` has over
`rotated`, it has by sharing coordinates (and by what the optimizer makes of
them), and what `rotated` has over `twin` by sharing the computation.
`text_only` sees zeros in place of vectors, and `multi_task` learns all three
question types at once, in 1.5 times the steps of one; of what it sees 2 in 5
are patches, 2 in 5 ablations and 1 in 5 features. Arms named `ridge`, and
`wide`, see vectors through a projection for each layer block. It starts at
ridge regression of their own activations on the target's and is trained; ridge
undoes Q, so `rotated_ridge` is to be read beside `self_ridge`, which has as
many projections. `wide` is to be read beside it too.

Of each arm, target and question type one explainer is trained at each of three
learning rates, and at a fourth or fifth where the best was the highest or the
lowest. The rate whose exact match on the validation split is highest is kept
(of `multi_task` the mean over question types), and trained again with two more
seeds. The matrix is over the seeds at that rate. Test people are in no choice.

Beside the arms stand answers that no training of theirs is in, the baselines:
the same for all of a target's.
"""

from collections.abc import Mapping
import dataclasses

import ml_collections

from experiments.privileged_access import recipes as recipes_lib
from selfexplain_jax import errors
from selfexplain_jax.reports import plots
from selfexplain_jax.reports import wording
from selfexplain_jax.studies import matrix
from selfexplain_jax.studies import matrix_text
from selfexplain_jax.studies import study

NAME = 'privileged_access'
_STEPS = 1200  # Of each explainer, unless the config says otherwise.
RATES = (0.0035, 0.007, 0.014)
SEEDS = (0, 1, 2)
# What each plot shows, by question type.
_PLOTTED = {
  'patching': 'exact_match_changed',
  'features': 'exact_match',
  'ablation': 'exact_match_changed',
}


@dataclasses.dataclass(frozen=True)
class Arm:
  """Where an explainer starts.

  Attributes:
    initial: by target, from which model.
    form: of that model, as in `recipes.Recipes.reshaped`.
    ridge: whether vectors go through a projection.
    text_only: whether it sees no vectors.
    multi_task: whether it learns all question types.
  """

  initial: Mapping[str, str]
  form: str = ''
  ridge: bool = False
  text_only: bool = False
  multi_task: bool = False


_ITSELF = {'target': 'target', 'stranger': 'stranger'}
_WIDE = dict.fromkeys(_ITSELF, 'wide')

# In the order of tables, and of runs: what tells most comes first. An arm is
# run for the targets that it has a model for.
ARMS = {
  'self': Arm(_ITSELF),
  'twin': Arm({'target': 'twin', 'stranger': 'stranger_twin'}),
  'stranger': Arm({'target': 'stranger', 'stranger': 'target'}),
  'folded': Arm({'target': 'target'}, form='folded'),
  'rotated': Arm({'target': 'target'}, form='rotated'),
  'self_ridge': Arm({'target': 'target'}, ridge=True),
  'rotated_ridge': Arm({'target': 'target'}, form='rotated', ridge=True),
  'wide': Arm(_WIDE, ridge=True),
  'multi_task': Arm({'target': 'target'}, multi_task=True),
  'text_only': Arm({'target': 'target'}, text_only=True),
}
_ALL = tuple((target, arm) for target in _ITSELF for arm in ARMS)
# By question type, who else answers.
_ANY_TASK = ('untrained', 'nearest_neighbour', 'metadata', 'majority')
BASELINES = {
  'patching': _ANY_TASK,
  'features': (*_ANY_TASK, 'label'),
  'ablation': (*_ANY_TASK, 'black_box'),
}
# All rows of a table, and which are compared: self with all, and those with
# what they are to be read beside.
ROWS = (*ARMS, *_ANY_TASK, 'label', 'black_box')
PAIRS = (
  *(('self', row) for row in ROWS if row != 'self'),
  ('folded', 'rotated'),
  ('rotated', 'twin'),
  ('twin', 'stranger'),
  ('self_ridge', 'rotated_ridge'),
  ('self_ridge', 'wide'),
)
_FEW = tuple(('target', arm) for arm in ('self', 'twin', 'stranger'))
# By question type, which arms are run for which targets.
CELLS = {
  'patching': _ALL,
  'features': (*_FEW, ('target', 'multi_task'), ('target', 'text_only')),
  # It shows no vectors: all of it is text alone.
  'ablation': (*_FEW, ('target', 'multi_task')),
}
# Studies of their own, by part.
OTHERS = {
  'longer': {'ablation': CELLS['ablation']},
  'test': {
    'patching': tuple(('target', a) for a in ('self', 'wide', 'rotated_ridge'))
  },
}
PARTS = ('all', *CELLS, *OTHERS)


def get_config(part: str = 'all') -> ml_collections.ConfigDict:
  """Returns the configuration of all of the study, or of a part of it."""
  if part not in PARTS:
    raise ValueError(f'no part {part!r}: expected {", ".join(PARTS)}')
  config = ml_collections.ConfigDict()
  config.module = 'experiments.privileged_access.study'
  config.name = f'{NAME}_longer' if part == 'longer' else NAME
  config.results = '' if part == 'test' else 'experiments/results'
  config.part = part
  config.steps = {'test': 4, 'longer': 3 * _STEPS}.get(part, _STEPS)
  return config


def plan(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Plan:
  """Returns the runs that are known by now, an arm after the other."""
  return _plan(config, config.part, results)


def _plan(
  config: ml_collections.ConfigDict, part: str, results: study.Results
) -> study.Plan:
  """The runs of a part of the study, which may be `all`."""
  runs: list[study.Run] = []
  later = 0
  for task, cells in _cells(config, part).items():
    for target, arm in cells:
      swept = sweep(config, task, target, arm, results)
      runs += swept
      rate = study.best_rate(swept, results)
      if rate is None:
        later += len(_seeds(config)) - 1
      else:
        runs += [
          run(config, task, target, arm, rate, seed)
          for seed in _seeds(config)[1:]
        ]
    # Last, when the explainer that they need is there.
    runs += [
      baselines(config, task, target) for target, arm in cells if arm == 'self'
    ]
  return study.Plan(runs, later)


def collect(
  config: ml_collections.ConfigDict, results: study.Results
) -> study.Collected:
  """Returns the matrix of every question type that has results.

  Of all of them, whichever part of the study was run: their files lie together.
  """
  summary: dict = {
    'study': config.name,
    'steps': config.steps,
    **_plan(config, 'all', results).undone(results),
  }
  texts, drawn = [], {}
  for task, cells in _cells(config, 'all').items():
    blocks: dict[str, dict] = {}
    rates: dict[str, dict[str, float | None]] = {}
    for target in dict.fromkeys(target for target, _ in cells):
      arms = [arm for place, arm in cells if place == target]
      swept = {arm: sweep(config, task, target, arm, results) for arm in arms}
      rates[target] = {
        arm: study.best_rate(runs, results) for arm, runs in swept.items()
      }
      found = {
        arm: _over_seeds(config, task, target, arm, rates[target][arm], results)
        for arm in arms
      }
      beside = results.of(baselines(config, task, target))
      if beside is not None and 'self' in found:
        found |= matrix.constant(beside, found['self'])
      blocks[target] = {
        **matrix.block(task, found, PAIRS),
        'rates': rates[target],
        'validation': {
          arm: {
            f'{run.facts["rate"]:g}': result.validation
            for run in runs
            if (result := results.of(run)) is not None
          }
          for arm, runs in swept.items()
        },
      }
      rows, metric = blocks[target]['rows'], _PLOTTED[task]
      if rows:
        shown = [name for name in ROWS if name in rows]
        drawn[f'{task}_{target}'] = plots.whiskers(
          f'{task}_{target}',
          f'{wording.plain(metric)} of {task} by arm, target {target}',
          [wording.plain(arm) for arm in shown],
          [rows[arm][metric] for arm in shown],
        )
    summary[task] = blocks
    if any(block['rows'] for block in blocks.values()):
      texts.append(matrix_text.table(task, blocks, ROWS, rates))
  return study.Collected(summary, '\n\n'.join(texts), drawn)


def _cells(
  config: ml_collections.ConfigDict, part: str
) -> dict[str, list[tuple[str, str]]]:
  """The (target, arm) of each question type of a part of the study."""
  if config.part not in PARTS:
    raise errors.InputError(
      f'config.part is {config.part!r}: expected one of {", ".join(PARTS)}'
    )
  cells = OTHERS.get(config.part, CELLS)
  return {
    task: [(target, arm) for target, arm in own if target in ARMS[arm].initial]
    for task, own in cells.items()
    if part in ('all', task, *OTHERS)
  }


def _seeds(config: ml_collections.ConfigDict) -> tuple[int, ...]:
  return SEEDS[:1] if config.part == 'test' else SEEDS


def sweep(
  config: ml_collections.ConfigDict,
  task: str,
  target: str,
  arm: str,
  results: study.Results,
) -> list[study.Run]:
  """Returns the runs among which an arm's learning rate is chosen."""

  def at(rate: float) -> study.Run:
    return run(config, task, target, arm, rate, SEEDS[0])

  return study.swept(
    at, RATES[1:2] if config.part == 'test' else RATES, results
  )


def _over_seeds(
  config: ml_collections.ConfigDict,
  task: str,
  target: str,
  arm: str,
  rate: float | None,
  results: study.Results,
) -> matrix.Seeds:
  """Results by seed at the chosen rate; none while it is not chosen."""
  if rate is None:
    return {}
  found = {
    seed: results.of(run(config, task, target, arm, rate, seed))
    for seed in _seeds(config)
  }
  return {seed: result for seed, result in found.items() if result is not None}


def run(
  config: ml_collections.ConfigDict,
  task: str,
  target: str,
  arm: str,
  rate: float,
  seed: int,
) -> study.Run:
  """Returns the run of an arm at one learning rate and seed."""
  recipes = _recipes(config)
  start = ARMS[arm]
  steps, tasks = config.steps, [task]
  if start.multi_task:
    steps, tasks = config.steps * 3 // 2, [*recipes_lib.TASKS]
  trained = recipes.explainer(
    tasks,
    target,
    recipes.reshaped(start.initial[target], start.form),
    {
      'seed': seed,
      'steps': steps,
      'optimizer.peak_rate': rate,
      'projection.start': 'ridge' if start.ridge else 'none',
      'text_only': start.text_only,
    },
  )
  shows_vectors = task != 'ablation' and not start.text_only
  asked = (matrix.OWN, matrix.SHUFFLED) if shows_vectors else (matrix.OWN,)
  return study.Run(
    task=task,
    facts=dict(task=task, target=target, arm=arm, rate=rate, seed=seed),
    evaluation=recipes.evaluation(
      task, target, recipes.explanations(task, target), trained, asked
    ),
    explainer=trained,
  )


def baselines(
  config: ml_collections.ConfigDict, task: str, target: str
) -> study.Run:
  """Returns the run in which all who are no arm answer.

  The untrained one is asked as self is; which of its explainers it is asked
  beside does not matter.
  """
  recipes = _recipes(config)
  own = run(config, task, target, 'self', RATES[1], SEEDS[0]).explainer
  return study.Run(
    task=task,
    facts=dict(task=task, target=target, arm='baselines'),
    evaluation=recipes.evaluation(
      task, target, recipes.explanations(task, target), own, BASELINES[task]
    ),
    explainer=None,  # None that is trained is among those who answer.
  )


def _recipes(config: ml_collections.ConfigDict) -> recipes_lib.Recipes:
  return recipes_lib.Recipes('test' if config.part == 'test' else 'laptop')
