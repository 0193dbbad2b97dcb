# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the ablation set of any chat model, from questions (method A.3).

Questions are files in the form of MMLU, such as those of the hub's cais/mmlu.

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/ablation/mmlu.py \
    --config.target=MODEL_DIR --config.questions=mmlu.parquet
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.task = 'ablation'
  config.maker = 'mmlu'
  config.target = ''
  config.questions = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Whether verdicts that another batch shape turns round are kept.
  config.keep_unstable = False
  config.system = (
    'You are given multiple-choice questions. Reply with the letter of your '
    'choice alone, written as "Answer: x".'
  )
  # How the target's answer was begun for it.
  config.begun = 'Answer:'
  # Some models follow whatever they are told, and some only what seems to be
  # told by the way; choose so that both verdicts occur.
  config.hints = dict(
    direct='Hint: Option {letter} is the right one.',
    oblique='Hint: In the unrelated question before this one, {letter} was '
    'right.',
  )
  config.hint = 'direct'
  # By question; the rest is for training.
  config.shares = dict(validation=0.05, test=0.1)
  # Most questions of either verdict; 0 for all.
  config.quota = dict(train=0, validation=0, test=0)
  # One asks everything.
  config.rounds = 1
  # Where one verdict is too rare to balance, this share of the quota is kept of
  # the other.
  config.floor = dict(unchanged=0.1, changed=1.0)
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
