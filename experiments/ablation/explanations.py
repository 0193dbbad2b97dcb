# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the input ablation set of a world model.

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/ablation/explanations.py --config.target=MODEL_DIR
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.task = 'ablation'
  config.target = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Whether verdicts that another batch shape turns round are kept.
  config.keep_unstable = False
  # Questions with and without hints about the target's world; or 'samples', the
  # target's own.
  config.prompts = dict(
    source='biographies', samples=dict(count=600, length=16)
  )
  # Most ablations of either verdict for each (kind of span, what is done).
  config.quota = dict(train=1200, validation=40, test=60)
  config.rounds = 2
  # Where one verdict is too rare to balance, this share of the quota is kept of
  # the other.
  config.floor = dict(unchanged=0.1, changed=1.0)
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
