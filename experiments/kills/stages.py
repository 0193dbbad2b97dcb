# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The binaries that are killed, each as a stage of a small quickstart.

As a config file, `experiments/kills/stages.py:NAME` is one stage's config, with
`--config.FIELD` for the folders that it reads.
"""

from collections.abc import Iterator
import pathlib

import ml_collections

from experiments import quickstart
from experiments.features import simulator

FLOW = 'quickstart'

# By name, the binary and the part of the quickstart's config that it has.
BINARIES = {
  'pretrain_target': ('pretrain_target', 'target'),
  'dump_activations': ('dump_activations', 'store'),
  'train_dictionary': ('train_dictionary', 'dictionary'),
  'make_patching': ('make_explanations', 'patching'),
  'make_ablation': ('make_explanations', 'ablation'),
  'make_features': ('make_explanations', 'features'),
  'train_explainer': ('train_explainer', 'self_explainer'),
  'train_adapter': ('train_explainer', 'self_explainer'),
  'evaluate_fidelity': ('evaluate_fidelity', 'patching_evaluation'),
  'train_simulator': ('train_simulator', ''),
}


def get_config(name: str) -> ml_collections.ConfigDict:
  """Returns the config of a stage: it saves often, and takes some seconds.

  That of the flow has its stages one after the other.
  """
  if name == FLOW:
    config = quickstart.get_config('test')
    config.plan = tuple((stage,) for line in config.plan for stage in line)
    return config
  if name not in BINARIES:
    raise ValueError(f'no stage {name!r}: expected {", ".join(BINARIES)}')
  binary, part = BINARIES[name]
  config = quickstart.get_config('test').get(part, None)
  match binary:
    case 'pretrain_target':
      config.steps, config.checkpoint_every = 300, 15
    case 'train_dictionary':
      config.steps, config.checkpoint_every = 300, 20
    case 'dump_activations':
      config.prompts_per_shard = 8
    case 'train_explainer':
      config.steps, config.evaluate_every, config.checkpoint_every = 60, 20, 4
      if name == 'train_adapter':
        config.lora_rank = 2
    case 'train_simulator':
      config = simulator.get_config()
      config.length, config.batch, config.steps = 16, 4, 60
      config.evaluate_every, config.checkpoint_every = 20, 5
      config.examples = config.validation_examples = 4
  return config


def inputs(name: str, source: pathlib.Path) -> Iterator[str]:
  """Yields flags that name what a stage reads: stages of a finished run."""
  _, part = BINARIES[name]
  if name == 'train_simulator':
    found = {
      'target': 'target/model',
      'initial': 'target/model',
      'dictionary': 'dictionary',
      'explanations': 'features',
      'store': 'documents',
    }
  else:
    places = dict(quickstart.get_config('test').inputs)
    found = {
      place.partition('.')[2]: folder
      for place, folder in places.items()
      if place.partition('.')[0] == part
    }
  for field, folder in found.items():
    yield f'--config.{field}={source / folder}'
