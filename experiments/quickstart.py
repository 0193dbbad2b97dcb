# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Every stage on the biographies world, sized for a laptop.

  python -m launch.quickstart

`:test` is the same flow in a minute, too small to learn anything.
"""

import ml_collections

from experiments.patching import evaluation
from experiments.patching import explainer
from experiments.patching import explanations
from experiments.world import dump
from experiments.world import pretrain


def get_config(size: str = 'laptop') -> ml_collections.ConfigDict:
  """Returns the configurations of all stages, by stage."""
  if size not in ('laptop', 'test'):
    raise ValueError(f'no size {size!r}: expected laptop or test')
  config = ml_collections.ConfigDict()
  config.target = pretrain.get_config('target')
  config.stranger = pretrain.get_config('stranger')
  config.store = dump.get_config()
  config.explanations = explanations.get_config()
  config.self_explainer = explainer.get_config()
  config.stranger_explainer = explainer.get_config()
  config.evaluation = evaluation.get_config()
  if size == 'test':
    for model in (config.target, config.stranger):
      model.steps, model.batch, model.checkpoint_every = 6, 4, 3
      model.world.people = 60
      model.model.update(dict(width=32, layers=2, heads=2, kv_heads=2))
      model.model.update(dict(head_width=16, mlp_width=48))
    config.explanations.blocks = ((0, 0), (1, 1), (0, 1))
    config.explanations.quota = dict(train=8, validation=2, test=4)
    config.explanations.rounds = 1
    config.explanations.require_right = False
    for trained in (config.self_explainer, config.stranger_explainer):
      trained.steps, trained.batch, trained.checkpoint_every = 4, 2, 2
      trained.replay.batch, trained.frozen.blocks = 1, 1
      trained.evaluate_every = 2
      trained.validation_examples = 8
    config.evaluation.examples = 24
  return config
