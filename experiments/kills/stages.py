# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The binaries that are killed, each as a stage of a small quickstart.

As a config file, `experiments/kills/stages.py:NAME` is one stage's config, with
`--config.FIELD` for the folders that it reads; `:source` is the quickstart
whose stages they read, and `:quickstart` a smaller one that is killed as a
whole.
"""

from collections.abc import Iterator
import pathlib
import pickle

import ml_collections
import numpy as np

from experiments import conversion
from experiments import published_explainer
from experiments import quickstart
from experiments.features import simulator

SOURCE, FLOW = 'source', 'quickstart'

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
  'import_explainer': ('import_explainer', ''),
  'convert_published': ('convert_published', ''),
}

# What is published of an explainer, and how much of features.
_PHRASINGS = """
continuous_tokens:
  begin_continuous: "<|vector_begin|>"
  end_continuous: "<|vector_end|>"
  continuous_rep: "<|vector|>"
train:
  tasks:
    features_explain:
      question_types:
        generative_explanation:
          prompts:
            - "At {layer}, {begin_continuous}{feature}{end_continuous} is "
"""
_PUBLISHED = 'published'
_PAIRS, _FILES = 200_000, 14


def _flow(name: str) -> ml_collections.ConfigDict:
  """Returns a quickstart that learns nothing; that of sources does more."""
  config = quickstart.get_config('test')
  if name == FLOW:
    return config
  for model in (config.target, config.stranger):
    model.world.people = 400
    model.model.update(dict(width=128, layers=4, heads=4, kv_heads=4))
    model.model.update(dict(head_width=32, mlp_width=384))
  config.documents.prompts.documents.count = 256
  config.features.documents.update(dict(labels=6144, scores=2048))
  config.patching.quota = dict(train=1000, validation=20, test=400)
  config.ablation.quota = dict(train=1000, validation=20, test=40)
  for task in (config.patching, config.ablation):
    task.rounds = 4
  config.patching_evaluation.examples = 3200
  return config


def get_config(name: str) -> ml_collections.ConfigDict:
  """Returns the config of a stage: it saves often, and takes half a minute.

  That of a flow has its stages one after the other.
  """
  if name in (SOURCE, FLOW):
    config = _flow(name)
    config.plan = tuple((stage,) for line in config.plan for stage in line)
    return config
  if name not in BINARIES:
    raise ValueError(f'no stage {name!r}: expected {", ".join(BINARIES)}')
  binary, part = BINARIES[name]
  config = _flow(SOURCE).get(part, None)
  match binary:
    case 'pretrain_target':
      config.steps, config.checkpoint_every = 560, 28
    case 'train_dictionary':
      config.steps, config.checkpoint_every = 18000, 600
    case 'dump_activations':
      config.prompts_per_shard = 2
    case 'train_explainer':
      config.steps, config.evaluate_every, config.checkpoint_every = 260, 65, 8
      if name == 'train_adapter':
        config.lora_rank = 2
    case 'import_explainer':
      config = published_explainer.get_config()
    case 'convert_published':
      config = conversion.get_config()
    case 'train_simulator':
      config = simulator.get_config()
      config.length, config.batch, config.steps = 16, 4, 540
      config.evaluate_every, config.checkpoint_every = 135, 12
      config.examples = config.validation_examples = 4
  return config


def write_published(source: pathlib.Path) -> None:
  """Writes what is not a stage of a quickstart, and is read all the same."""
  folder = source / _PUBLISHED
  (folder / 'features').mkdir(parents=True, exist_ok=True)
  (folder / 'phrasings.yaml').write_text(_PHRASINGS)
  random = np.random.default_rng(0)
  for number in range(_FILES):
    pairs = random.integers(0, 1 << 15, (_PAIRS, 2)).tolist()
    content = pickle.dumps([(layer, feature) for layer, feature in pairs])
    (folder / f'features/split_{number}.pkl').write_bytes(content)


def inputs(name: str, source: pathlib.Path) -> Iterator[str]:
  """Yields flags that name what a stage reads: stages of a finished run."""
  _, part = BINARIES[name]
  if name == 'import_explainer':
    found = {
      'checkpoint': 'target/model',
      'phrasings': f'{_PUBLISHED}/phrasings.yaml',
    }
  elif name == 'convert_published':
    found = {'source': f'{_PUBLISHED}/features'}
  elif name == 'train_simulator':
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
