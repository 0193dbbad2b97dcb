# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Dumps a model's residual stream on text files, for a dictionary.

  python -m launch.dump_activations --workdir=DIR \
    --config=experiments/features/dump.py --config.target=MODEL_DIR \
    --config.prompts.text.files='TEXTS/*.parquet' --config.layers=12,

Of every token but the first of each document. --dry_run prints the size: of one
layer of Llama-3.1-8B 8 KiB a token, so 6.4 GB of 8192 documents of 96 tokens.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.seed = 0
  config.prompts = dict(
    source='text',
    # Names or globs, separated by commas, local or gs://; the field that holds
    # the text (empty where records are text); which documents, and how many
    # tokens of each at most, BOS counted.
    text=dict(files='', field='text', start=0, count=8192, length=96),
  )
  config.sites = ('resid_post',)
  config.layers = ()  # All of them.
  # Of the target, and of what the store holds.
  config.dtype = 'bfloat16'
  config.prompts_per_shard = 64
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
