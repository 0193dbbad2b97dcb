# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the ablation explanation set of published data (method A.3, E.1).

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/ablation/published.py --config.target=MODEL_DIR \
    --config.published.train='DATA/train-*.parquet' \
    --config.published.test='DATA/test-*.parquet'

The target is the chat model that the data are of.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.task = 'ablation'
  config.maker = 'published'
  config.target = ''
  # Files or globs, separated by commas.
  config.published = dict(train='', test='')
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Of the training questions, those that are for validation.
  config.validation_share = 0.05
  # Longer prompts are left out.
  config.most_tokens = 500
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
