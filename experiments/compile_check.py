# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Compiles a stage's step for TPUs that are not there.

  pip install -e '.[tpu]'
  JAX_PLATFORMS=cpu python -m launch.compile_check --topology=v5e:16x16 \
    --config=experiments/compile_check.py:llama3_1_8b/lora

The argument is a model of `selfexplain_jax/models/presets.py` and a stage:
`full` and `lora` are the training of an explainer, `capture` reads activations,
`patch` patches a cell of each prompt, `decode` answers questions, `dictionary`
trains a sparse autoencoder on one layer's activations.
"""

import ml_collections

STAGES = ('full', 'lora', 'capture', 'patch', 'decode', 'dictionary')

# Tokens of a row: packed examples; a prompt; a question, with its answer after.
_LENGTHS = {'full': 512, 'lora': 512, 'capture': 512, 'patch': 64, 'decode': 64}

# Rows for each chip, so that its matrix unit is kept busy.
_ROWS = {'full': 1, 'lora': 1, 'capture': 1, 'patch': 16, 'decode': 8}


def get_config(which: str = 'llama3_1_8b/lora') -> ml_collections.ConfigDict:
  """Returns the configuration for MODEL/STAGE."""
  model, _, stage = which.partition('/')
  if stage not in STAGES:
    raise ValueError(f'no stage {stage!r}: expected {", ".join(STAGES)}')
  config = ml_collections.ConfigDict()
  config.model, config.stage = model, stage
  # Training splits all that it keeps over all chips. Models that only run are
  # split over as few as hold them, so that nothing is gathered for each token.
  if stage in ('full', 'lora', 'dictionary'):
    config.mesh = dict(data=1, fsdp=-1, tensor=1)
  else:
    config.mesh = dict(data=-1, fsdp=1, tensor=8 if '70b' in model else 4)
  config.rows_per_chip = _ROWS.get(stage, 128)
  config.length = _LENGTHS.get(stage, 0)
  config.lora_rank = 128
  config.remat, config.accumulate = 'full', 1
  config.attention = 'splash'  # As models in bfloat16 have it on TPUs.
  config.optimizer = dict(
    kind='adamw',
    schedule='constant',
    peak_rate=5e-5,
    warmup=0,
    weight_decay=0.01,
    clip_norm=1.0,
  )
  config.vectors = 8  # Shown in a row.
  config.answers = config.length // 2  # Tokens of a row that are of answers.
  config.positions = 4  # Read of each prompt, of all layers.
  config.new_tokens = 32  # Of an answer.
  config.dictionary_layers = 1
  config.dictionary = dict(
    features=131_072,
    kind='topk',
    k=64,
    dead_after=10_000_000,
    auxiliary_k=256,
    auxiliary_weight=1 / 32,
    threshold_rate=0.01,
  )
  return config
