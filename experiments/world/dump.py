# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Dumps a world model's residual stream.

  python -m launch.dump_activations --workdir=DIR \
    --config=experiments/world/dump.py --config.target=MODEL_DIR

At the positions that are asked about: a row for each person, relation, phrasing
and position kind, 12,000 rows of 6 layers, 37 MB. With the argument
`documents`, of every token of new documents of its corpus: what a dictionary is
trained on. Text files are what `experiments/features/dump.py` reads.
"""

import ml_collections


def get_config(source: str = 'biographies') -> ml_collections.ConfigDict:
  """Returns the configuration of a store of one of the sources of prompts."""
  if source not in ('biographies', 'documents'):
    raise ValueError(f'no source {source!r}: expected biographies or documents')
  config = ml_collections.ConfigDict()
  config.target = ''
  config.seed = 0
  # Where prompts come from: 'biographies', those of the target's world;
  # 'documents', rows of its corpus; or 'samples', the target's own.
  config.prompts = dict(
    source=source,
    # Pretraining reads the rows from 0, and never comes so far.
    documents=dict(start=1_000_000, count=2048, length=64),
    samples=dict(count=600, length=16),
  )
  config.sites = ('resid_post',)
  config.layers = ()  # All of them.
  # Of the target, and of what the store holds.
  config.dtype = 'float32'
  config.prompts_per_shard = 512 if source == 'biographies' else 64
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
