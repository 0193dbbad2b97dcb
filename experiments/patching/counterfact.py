# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the patching explanation set of any decoder, from facts (method A.2).

Facts are files in the form of CounterFact: https://rome.baulab.info/data. Of
chat models add `--config.rendering=chat`. `--dry_run` prints what it takes.

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/patching/counterfact.py \
    --config.target=MODEL_DIR --config.facts=counterfact.json
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.task = 'patching'
  config.maker = 'counterfact'
  config.target = ''
  config.facts = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Whether verdicts that another batch shape turns round are kept.
  config.keep_unstable = False
  config.site = 'resid_post'
  # Pairs of a first and a last layer; of none, four equal blocks.
  config.blocks = ()
  # 'base', plain text with the cue at its end; or 'chat', a user's message.
  config.rendering = 'base'
  # The paper has '\n\nRespond with one of {options} and nothing else'.
  config.instruction = '\n\nChoose from {options} and write only your choice'
  config.cue = '.\n\nResponse:'
  config.unknown = 'unknown'
  # By subject; the rest is for training.
  config.shares = dict(validation=0.05, test=0.2)
  # Most pairs of prompts; 0 for one for each fact.
  config.pairs = dict(train=2000, validation=200, test=400)
  # Pairs that are captured at once. Their vectors take
  # chunk x tokens x blocks x width x 4 bytes.
  config.chunk = 64
  # Most cells of either verdict in each (kind of token, block); 0 for all.
  config.quota = dict(train=600, validation=40, test=100)
  # One tries everything.
  config.rounds = 1
  # Where one verdict is too rare to balance, this share of the quota is kept of
  # the other.
  config.floor = dict(unchanged=0.1, changed=1.0)
  # The paper keeps what the target answers wrong.
  config.require_right = False
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
