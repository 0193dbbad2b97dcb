# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Evaluates a published explainer of the paper on its published data.

  python -m launch.flow --workdir=DIR \
    --config=experiments/published_evaluation.py:patching \
    --config.target=meta-llama/Llama-3.1-8B \
    --config.explainer.checkpoint=Transluce/act_patch_llama3.1_8b_llama3.1_8b \
    --config.explainer.tokenizer=meta-llama/Llama-3.1-8B \
    --config.explainer.phrasings=base_base_act_patch_cf.yaml \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

The argument says which question type. Expected are the figures of the paper's
tables 1, 2, 5 and 6, which the docstrings of experiments/TASK/ repeat: of this
one an exact match of 48.6%. Chat models need `--config.explainer.chat`, and the
Instruct models of Llama `--config.explainer.doubled_bos` besides.
"""

import ml_collections

from experiments import evaluation
from experiments import paper
from experiments import published_explainer
from experiments.ablation import published as ablation
from experiments.features import published as features
from experiments.patching import published as patching

_SETS = {'patching': patching, 'ablation': ablation, 'features': features}


def get_config(task: str = 'patching') -> ml_collections.ConfigDict:
  """Returns the configuration for one question type."""
  if task not in _SETS:
    raise ValueError(f'no task {task!r}: expected {", ".join(_SETS)}')
  config = ml_collections.ConfigDict()
  config.stages = {
    'explanations': 'make_explanations',
    'explainer': 'import_explainer',
    'evaluation': 'evaluate_fidelity',
  }
  config.plan = (('explanations', 'explainer'), ('evaluation',))
  config.inputs = (
    ('evaluation.explanations', 'explanations'),
    ('evaluation.explainers.self', 'explainer/model'),
  )
  # What an explainer began as is its target, unless it is said otherwise.
  config.target, config.dtype = '', 'bfloat16'
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  config.explanations = _SETS[task].get_config()
  config.explainer = published_explainer.get_config()
  config.evaluation = evaluation.get_config()
  stages = (config.explanations, config.evaluation)
  paper.follow(config, 'target', stages)
  paper.follow(config, 'dtype', stages)
  for axis in ('data', 'fsdp', 'tensor'):
    paper.follow(config.mesh, axis, [stage.mesh for stage in stages])
  config.evaluation.initial = config.get_ref('target')
  return config
