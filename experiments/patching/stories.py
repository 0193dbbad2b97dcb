# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Effects of patching a model without texts, on its own samples.

For any Hugging Face directory without a tokenizer; the layer blocks are those
of a model of 5 layers, such as stories260K. Token ids are written `t17 t402`.

  python -m launch.dump_activations --workdir=STORE \
    --config=experiments/patching/stories.py:dump --config.target=MODEL_DIR
  python -m launch.make_explanations --workdir=SET \
    --config=experiments/patching/stories.py:explanations \
    --config.target=MODEL_DIR --config.store=STORE
  python -m launch.evaluate_fidelity --workdir=DIR \
    --config=experiments/patching/stories.py:evaluation \
    --config.target=MODEL_DIR --config.explanations=SET

There is no explainer: the effects are run again, and the controls that need no
language model say how much of them can be told without one. With one, a model
of the world of another width, which is shown vectors through a projection:

  python -m launch.flow --workdir=DIR \
    --config=experiments/patching/stories.py:flow --config.target=MODEL_DIR
  python -m launch.ask --explainer=DIR/explainer --list=examples
"""

import ml_collections

from experiments import evaluation
from experiments import explainer
from experiments import paper
from experiments.patching import explanations
from experiments.world import dump
from experiments.world import pretrain

BLOCKS = tuple((i, i) for i in range(5)) + ((0, 1), (2, 3), (0, 2), (2, 4))


def get_config(stage: str) -> ml_collections.ConfigDict:
  """Returns the configuration of a stage, or of all of them, `flow`."""
  match stage:
    case 'dump':
      config = dump.get_config()
      config.prompts.source = 'samples'
      config.prompts.samples = dict(count=1500, length=24)
    case 'explanations':
      config = explanations.get_config()
      config.blocks = BLOCKS
      config.quota = dict(train=60, validation=10, test=20)
    case 'evaluation':
      config = evaluation.get_config()
    case 'flow':
      config = _flow()
    case _:
      raise ValueError(
        f'no stage {stage!r}: expected dump, explanations, evaluation or flow'
      )
  return config


def _flow() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.stages = {
    'initial': 'pretrain_target',
    'store': 'dump_activations',
    'explanations': 'make_explanations',
    'explainer': 'train_explainer',
    'evaluation': 'evaluate_fidelity',
  }
  config.plan = (
    ('initial', 'store'),
    ('explanations',),
    ('explainer',),
    ('evaluation',),
  )
  config.inputs = (
    ('explanations.store', 'store'),
    ('explainer.initial', 'initial/model'),
    ('explainer.explanations.patching', 'explanations'),
    ('evaluation.explanations', 'explanations'),
    ('evaluation.initial', 'initial/model'),
    ('evaluation.explainers.self', 'explainer/model'),
  )
  config.target = ''
  config.initial = pretrain.get_config('target')
  config.initial.quoted_ids = 512
  for stage in ('store', 'explanations', 'evaluation'):
    name = 'dump' if stage == 'store' else stage
    config[stage] = get_config(name)
  config.explanations.quota.train = 400
  config.explainer = explainer.get_config()
  config.explainer.projection.start = 'random'
  targets = (config.store, config.explanations, config.evaluation)
  paper.follow(config, 'target', targets)
  return config
