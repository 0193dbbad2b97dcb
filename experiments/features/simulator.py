# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Trains a simulator of features, to score descriptions with.

  python -m launch.train_simulator --workdir=DIR \
    --config=experiments/features/simulator.py --config.target=MODEL_DIR \
    --config.dictionary=DICTIONARY_DIR --config.explanations=SET_DIR \
    --config.store=STORE_DIR --config.initial=MODEL_DIR

It learns from the labels of the training split, and reads the store's documents
(`experiments/world/dump.py:documents`), on which no description is scored.
`initial` is a model with the target's tokenizer, such as the target itself.
`launch.evaluate_fidelity --config.simulator=DIR/model` scores with it.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.dictionary = ''  # None for features known as directions alone.
  config.explanations = ''
  config.store = ''
  config.initial = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  config.examples = 0  # Features to learn from; 0 for all of the split.
  config.validation_examples = 128
  config.length = 64  # Tokens of a document; shorter ones are left out.
  config.optimizer = dict(
    peak_rate=0.004, adam_rate=1.0, warmup=20, weight_decay=0.0, clip_norm=1.0
  )
  config.steps = 600
  config.batch = 32  # Pairs of a feature and a document.
  config.evaluate_every = 200
  config.checkpoint_every = 200
  config.restore_from = ''  # Workdir of a run to go on from, of none here.
  config.profile = dict(first_step=0, steps=0)  # Traced for XProf.
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
