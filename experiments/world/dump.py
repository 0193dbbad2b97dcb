# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Dumps a world model's residual stream at the positions that are asked about.

  python -m launch.dump_activations --workdir=DIR \
    --config=experiments/world/dump.py --config.target=MODEL_DIR

A row for each person, relation, phrasing and position kind: 12,000 rows of 6
layers, 37 MB.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.seed = 0
  # Where prompts come from: 'biographies', those of the target's world; or
  # 'samples', the target's own.
  config.prompts = dict(
    source='biographies', samples=dict(count=600, length=16)
  )
  config.sites = ('resid_post',)
  config.layers = ()  # All of them.
  config.dtype = 'float32'
  config.prompts_per_shard = 512
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
