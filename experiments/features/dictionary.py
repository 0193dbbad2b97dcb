# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Trains a dictionary for every layer of a world model.

  python -m launch.train_dictionary --workdir=DIR \
    --config=experiments/features/dictionary.py --config.target=MODEL_DIR \
    --config.store=STORE_DIR

The store is one of documents (`experiments/world/dump.py:documents`), or of
text files (`experiments/features/dump.py`). Expected of a world model: variance
explained at least 0.9 at L0 of 12, dead features at most 5%, and loss recovered
at least 0.97, in every layer.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.store = ''
  config.seed = 0
  config.site = 'resid_post'
  config.layers = ()  # All that the store has.
  config.features = 512
  # 'jumprelu', trained with k features a row on average, or 'topk'.
  config.kind = 'jumprelu'
  config.k = 12
  # Rows without firing after which a feature counts as dead in training; how
  # many of the dead fire in the auxiliary loss that revives them; its weight.
  config.dead_after = 16384
  config.auxiliary_k = 64
  config.auxiliary_weight = 1.0
  config.threshold_rate = 0.02
  # Adam's.
  config.optimizer = dict(peak_rate=0.005, warmup=20)
  config.steps = 600
  config.batch = 512  # Rows.
  config.window_rows = 16384  # Mixed in memory at a time.
  config.checkpoint_every = 200
  config.restore_from = ''  # Workdir of a run to go on from, of none here.
  config.profile = dict(first_step=0, steps=0)  # Traced for XProf.
  # Held-out documents that dictionaries are measured on (0 for all of the
  # store's), and how many are run at a time.
  config.evaluation = dict(documents=0, batch=64)
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
