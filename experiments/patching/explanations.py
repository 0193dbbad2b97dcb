# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the patching explanation set of a world model.

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/patching/explanations.py \
    --config.target=MODEL_DIR --config.store=STORE_DIR
"""

import ml_collections

# Single layers, and blocks of consecutive ones.
BLOCKS = tuple((i, i) for i in range(6)) + (
  (0, 1),
  (2, 3),
  (4, 5),
  (0, 2),
  (3, 5),
)


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.task = 'patching'
  config.target = ''
  config.store = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Whether verdicts that another batch shape turns round are kept.
  config.keep_unstable = False
  config.site = 'resid_post'
  config.blocks = BLOCKS
  # Most cells of either verdict in each (position kind, layer block).
  config.quota = dict(train=400, validation=20, test=40)
  config.rounds = 2
  # Where one verdict is too rare to balance, this share of the quota is kept of
  # the other. That nothing happens is soon said; what comes instead is not.
  config.floor = dict(unchanged=0.1, changed=1.0)
  config.require_right = True
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
