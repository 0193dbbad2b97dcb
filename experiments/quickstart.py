# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Every stage on the biographies world, sized for a laptop.

  python -m launch.quickstart

`:test` is the same flow in a minute, too small to learn anything.
"""

from collections.abc import Iterator

import ml_collections

from experiments import evaluation
from experiments import explainer
from experiments.ablation import explanations as ablation
from experiments.features import dictionary
from experiments.features import explanations as features
from experiments.patching import explanations as patching
from experiments.world import dump
from experiments.world import pretrain

TASKS = ('features', 'patching', 'ablation')
EXPLAINERS = ('self', 'stranger')

_STAGES = {
  'target': 'pretrain_target',
  'stranger': 'pretrain_target',
  'store': 'dump_activations',
  'documents': 'dump_activations',
  'dictionary': 'train_dictionary',
  **{task: 'make_explanations' for task in TASKS},
  **{f'{name}_explainer': 'train_explainer' for name in EXPLAINERS},
  **{f'{task}_evaluation': 'evaluate_fidelity' for task in TASKS},
}

# Stages of a line need nothing of each other and run side by side: on small
# models each keeps one core busy.
_PLAN = (
  ('target', 'stranger'),
  ('store', 'documents'),
  ('dictionary', 'patching'),
  ('features', 'ablation'),
  ('self_explainer', 'stranger_explainer'),
  ('patching_evaluation', 'ablation_evaluation'),
  ('features_evaluation',),
)


def _inputs() -> Iterator[tuple[str, str]]:
  """Yields fields of stages' configs, and the folders that they name."""
  for name in ('store', 'documents', 'dictionary', *TASKS):
    yield f'{name}.target', 'target/model'
  yield 'dictionary.store', 'documents'
  yield 'patching.store', 'store'
  yield 'features.dictionary', 'dictionary'
  for name in EXPLAINERS:
    own = 'target' if name == 'self' else name
    yield f'{name}_explainer.initial', f'{own}/model'
    for task in TASKS:
      yield f'{name}_explainer.explanations.{task}', task
  for task in TASKS:
    yield f'{task}_evaluation.explanations', task
    for field in ('target', 'initial'):
      yield f'{task}_evaluation.{field}', 'target/model'
    for name in EXPLAINERS:
      yield f'{task}_evaluation.explainers.{name}', f'{name}_explainer/model'
  yield 'features_evaluation.dictionary', 'dictionary'


def get_config(size: str = 'laptop') -> ml_collections.ConfigDict:
  """Returns the configurations of all stages, and how they hang together."""
  if size not in ('laptop', 'test'):
    raise ValueError(f'no size {size!r}: expected laptop or test')
  config = ml_collections.ConfigDict()
  config.stages = _STAGES
  config.plan = _PLAN
  config.inputs = tuple(_inputs())
  config.target = pretrain.get_config('target')
  config.stranger = pretrain.get_config('stranger')
  config.store = dump.get_config()
  config.documents = dump.get_config('documents')
  config.dictionary = dictionary.get_config()
  config.features = features.get_config()
  config.patching = patching.get_config()
  config.ablation = ablation.get_config()
  config.self_explainer = explainer.get_config()
  config.stranger_explainer = explainer.get_config()
  for trained in (config.self_explainer, config.stranger_explainer):
    # Fewer than would be best: all of this is to take a quarter of an hour.
    trained.steps = 1100
    trained.evaluate_every = trained.checkpoint_every = 550
  for task in TASKS:
    config[f'{task}_evaluation'] = evaluation.get_config()
  if size == 'test':
    _shrink(config)
  return config


def _shrink(config: ml_collections.ConfigDict) -> None:
  """Makes everything small."""
  for model in (config.target, config.stranger):
    model.steps, model.batch, model.checkpoint_every = 6, 4, 3
    model.world.people = 60
    model.model.update(dict(width=32, layers=2, heads=2, kv_heads=2))
    model.model.update(dict(head_width=16, mlp_width=48))
  config.documents.prompts.documents.update(dict(count=32, length=32))
  config.documents.prompts_per_shard = 16
  config.dictionary.update(dict(features=48, k=4, steps=6, batch=64))
  config.dictionary.checkpoint_every = 3
  config.features.documents.update(dict(labels=32, scores=16, length=32))
  config.features.threshold = 0.1
  config.features.unlabelled = 3
  config.patching.blocks = ((0, 0), (1, 1), (0, 1))
  config.patching.require_right = False
  for task in (config.patching, config.ablation):
    task.quota = dict(train=8, validation=2, test=4)
    task.rounds = 1
  for trained in (config.self_explainer, config.stranger_explainer):
    trained.steps, trained.batch, trained.checkpoint_every = 4, 2, 2
    trained.replay.batch, trained.frozen.blocks = 1, 1
    trained.evaluate_every = 2
    trained.validation_examples = 8
  for task in TASKS:
    config[f'{task}_evaluation'].examples = 24
