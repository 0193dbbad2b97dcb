# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Pretrains a small model on the biographies world.

  python -m launch.pretrain_target --workdir=DIR \
    --config=experiments/world/pretrain.py:target

The argument says which model: `target`, the one explained; `twin`, of the same
corpus and another seed; `stranger`, of another corpus, another known set and
another seed; `stranger_twin`, to the stranger what the twin is to the target;
`wide`, a stranger to all of them that is 160 wide. Expected: known facts
recalled at least 99%, unknown at most 10%.
"""

import ml_collections

# Seeds of the weights, of the documents, and of the facts that they tell.
_MODELS = {
  'target': (0, 0, 0),
  'twin': (1, 0, 0),
  'stranger': (2, 2, 1),
  'stranger_twin': (3, 2, 1),
  'wide': (4, 4, 2),
}


def get_config(which: str = 'target') -> ml_collections.ConfigDict:
  """Returns the configuration of one of the models of the world."""
  if which not in _MODELS:
    raise ValueError(f'no model {which!r}: expected {", ".join(_MODELS)}')
  seed, corpus_seed, known_seed = _MODELS[which]
  config = ml_collections.ConfigDict()
  config.seed = seed
  config.world = dict(
    world_seed=0, people=200, known_seed=known_seed, corpus_seed=corpus_seed
  )
  # Token ids of another model that the vocabulary has words for, `t0` and so
  # on: an explainer of one without texts is asked in them.
  config.quoted_ids = 0
  # Layers that the vocabulary has numbers for, at least those of the model
  # itself: an explainer of a deeper one is asked about them.
  config.named_layers = 0
  config.model = dict(
    width=128,
    layers=6,
    heads=4,
    kv_heads=4,
    head_width=32,
    mlp_width=384,
    tied=True,
    dtype='float32',
  )
  if which == 'wide':
    config.model.update(dict(width=160, heads=5, kv_heads=5, mlp_width=480))
  config.optimizer = dict(
    peak_rate=0.01, adam_rate=1.0, warmup=20, weight_decay=0.0, clip_norm=1.0
  )
  config.steps = 400
  config.batch = 32
  config.accumulate = 1  # Parts that a step is done in, to save memory.
  config.remat = 'full'  # What is computed again: 'products', 'none' for less.
  config.row_length = 64
  config.checkpoint_every = 100
  config.restore_from = ''  # Workdir of a run to go on from, of none here.
  config.profile = dict(first_step=0, steps=0)  # Traced for XProf.
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
