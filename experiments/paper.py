# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What the paper's experiments have in common (arXiv 2511.08579, method B.3).

Each is a flow of three stages: its published data become an explanation set,
an explainer is tuned on it, and its claims are checked on the target. A file of
`experiments/TASK/` is one target with one explainer; to compare another pair is
to change two names in it.

What differs from the authors' code, on purpose: the loss is a mean over answer
tokens, adapters have an Adam of float32 and no dropout (theirs 0.1),
projections are trained in full rank, and the evaluated weights are those with
the best exact match on validation records, not the last.
"""

from collections.abc import Sequence
from typing import Any

import ml_collections

from experiments import evaluation
from experiments import explainer
from experiments.features import published as published_features

LLAMA = 'meta-llama/Llama-3.1-8B'
LLAMA_INSTRUCT = 'meta-llama/Llama-3.1-8B-Instruct'
LLAMA_3 = 'meta-llama/Meta-Llama-3-8B'
LLAMA_70B = 'meta-llama/Llama-3.1-70B'
QWEN = 'Qwen/Qwen3-8B'
GEMMA = 'google/gemma-2-9b'
GEMMA_INSTRUCT = 'google/gemma-2-9b-it'
SIMULATOR = 'Transluce/features_explain_llama3.1_8b_simulator'

_CHAT = (LLAMA_INSTRUCT, QWEN, GEMMA_INSTRUCT)
_LORA_ALPHA = 16
_AXES = ('data', 'fsdp', 'tensor')


def flow(
  explanations: ml_collections.ConfigDict,
  *,
  target: str,
  initial: str,
  batch: int,
  row_length: int,
  examples_per_row: int,
  steps: int,
  rate: float = 5e-5,
  lora_rank: int = 128,
  projection: str = 'none',
  fsdp: int = 16,
) -> ml_collections.ConfigDict:
  """Returns the config of an experiment, for `launch.flow`.

  Args:
    explanations: of the explanation set, from published data.
    target: directory or hub id of the model that is explained.
    initial: of the model that the explainer begins as.
    batch: rows a step, a multiple of the chips.
    row_length: tokens of a row.
    examples_per_row: most examples of a row.
    steps: of the tuning.
    rate: of AdamW, constant.
    lora_rank: of the adapter; 0 tunes all weights.
    projection: how vectors come to another width.
    fsdp: ways to split parameters, the chips of a slice.
  """
  config = ml_collections.ConfigDict()
  config.stages = {
    'explanations': 'make_explanations',
    'explainer': 'train_explainer',
    'evaluation': 'evaluate_fidelity',
  }
  config.plan = (('explanations',), ('explainer',), ('evaluation',))
  config.inputs = (
    (f'explainer.explanations.{explanations.task}', 'explanations'),
    ('evaluation.explanations', 'explanations'),
    ('evaluation.explainers.self', 'explainer/model'),
  )
  # What an experiment is about, and where it runs; the stages below follow.
  config.target, config.initial = target, initial
  config.dtype = 'bfloat16'
  config.mesh = dict(data=-1, fsdp=fsdp, tensor=1)

  config.explanations = explanations
  tuned = config.explainer = explainer.get_config()
  tuned.phrasings, tuned.chat = 'text', initial in _CHAT
  tuned.injection = 'replace_embedding'
  tuned.projection.start = projection
  if projection == 'ridge':
    tuned.corpus = dict(files='', field='text')
  tuned.lora_rank, tuned.lora_embedding = lora_rank, False
  tuned.lora_scale = _LORA_ALPHA / lora_rank if lora_rank else 1.0
  tuned.frozen = dict(names=(), blocks=0)
  tuned.replay.batch = 0
  tuned.optimizer = dict(
    kind='adamw',
    schedule='constant',
    peak_rate=rate,
    warmup=0,
    weight_decay=0.01,
    clip_norm=1.0,
  )
  tuned.steps, tuned.batch = steps, batch
  tuned.row_length, tuned.examples_per_row = row_length, examples_per_row
  tuned.evaluate_every, tuned.checkpoint_every = 2000, 500
  config.evaluation = evaluation.get_config()

  follow(config, 'target', (config.explanations, tuned, config.evaluation))
  follow(config, 'initial', (tuned, config.evaluation))
  stages = (config.explanations, tuned, config.evaluation)
  follow(config, 'dtype', stages)
  for axis in _AXES:
    follow(config.mesh, axis, [stage.mesh for stage in stages])
  return config


def llama_features(
  initial: str, projection: str = 'none', chips: int = 16
) -> ml_collections.ConfigDict:
  """Returns the experiment on features of Llama-3.1-8B, for one explainer.

  Args:
    initial: directory or hub id of the model that the explainer begins as.
    projection: as in `flow`.
    chips: of the slice, at most 64; a step is of 64 examples.
  """
  config = flow(
    published_features.get_config('layout'),
    target=LLAMA,
    initial=initial,
    batch=chips,
    row_length=48 * 64 // chips,
    examples_per_row=64 // chips,
    steps=4_960,  # 10 epochs of 31 layers with 1,024 features each.
    projection=projection,
    fsdp=chips,
  )
  config.explanations.published.train = 'train_explanations_32k'
  config.evaluation.judge.update(dict(kind='endpoint', model='gpt-4.1-mini'))
  config.evaluation.simulator = SIMULATOR
  config.evaluation.simulator_convention = 'published'
  return config


def gemma_features(initial: str) -> ml_collections.ConfigDict:
  """Returns the experiment on features of Gemma-2-9B, for one explainer.

  Args:
    initial: directory or hub id of the model that the explainer begins as.
  """
  config = flow(
    published_features.get_config('neuronpedia'),
    target=GEMMA,
    initial=initial,
    batch=16,
    row_length=192,
    examples_per_row=4,
    steps=5_000,
  )
  config.dictionary = ''
  follow(config, 'dictionary', (config.explanations, config.evaluation))
  config.evaluation.judge.update(dict(kind='endpoint', model='gpt-4.1-mini'))
  return config


def follow(
  config: ml_collections.ConfigDict,
  name: str,
  followers: Sequence[ml_collections.ConfigDict],
) -> None:
  """Makes a field of others say what that of `config` does, now and later."""
  reference: Any = config.get_ref(name)
  for follower in followers:
    follower[name] = reference
