# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Trains an explainer on a world's explanation sets.

  python -m launch.train_explainer --workdir=DIR \
    --config=experiments/explainer.py \
    --config.explanations.patching=SET_DIR --config.initial=MODEL_DIR

`initial` is the target itself for self, or another model for stranger or twin.
One explainer is trained for all tasks whose sets are named.
"""

import ml_collections

TASKS = ('features', 'patching', 'ablation')


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.explanations = {task: '' for task in TASKS}
  # Of what is seen, each task's share relative to the others'. There are far
  # fewer features than other questions, and they are learnt sooner.
  config.task_weights = dict(features=0.5, patching=1.0, ablation=1.0)
  config.initial = ''
  config.target = ''  # For a ridge projection alone.
  # How questions are worded: 'world'; 'text', for models that read any text;
  # or a file of published phrasings. Chat models may be asked as a user asks,
  # and answer as the assistant.
  config.phrasings = 'world'
  config.chat = False
  config.seed = 0
  # Of activations, and of parameters that are not trained.
  config.dtype = 'float32'
  config.examples = 0  # Of each task; 0 for all of them.
  # 'stored', as the sets hold them; or 'computed' by the base of an adapter, in
  # the step that shows them, where the base is the target and vectors are its
  # activations. Validation shows the stored ones either way.
  config.vectors = 'stored'
  config.text_only = False  # Zeros in place of all vectors: a control.
  config.injection = 'add_norm_matched'
  config.injection_block = 0  # After which block of the explainer.
  # For another width than the target's: 'random', or 'ridge' from the
  # activations of both on so many rows of the explainer's corpus.
  config.projection = dict(start='none', rows=256, penalty=0.01)
  # Rank of an adapter; 0 trains all weights that are not frozen.
  config.lora_rank = 0
  config.lora_scale = 1.0  # Of its product: alpha / rank, in PEFT's terms.
  # Whether an adapter has an embedding too: words may be new to the base.
  config.lora_embedding = True
  # Not trained, so that the explainer keeps what it knows of people that no
  # question names: the MLPs of the first blocks, where facts are looked up.
  config.frozen = dict(names=('gate', 'up', 'down'), blocks=3)
  config.optimizer = dict(
    peak_rate=0.007, adam_rate=1.0, warmup=20, weight_decay=0.1, clip_norm=1.0
  )
  config.steps = 1500
  config.batch = 6
  # Parts that a step is done in, one after the other, to save memory; and what
  # the backward pass computes again: 'full', 'products' (all but those with the
  # matrices), or 'none'.
  config.accumulate = 1
  config.remat = 'full'
  config.row_length = 144
  config.examples_per_row = 6
  config.replay = dict(batch=2, weight=0.1)
  config.evaluate_every = 500
  config.validation_examples = 256  # Of each task.
  config.checkpoint_every = 500
  config.restore_from = ''  # Workdir of a run to go on from, of none here.
  config.profile = dict(first_step=0, steps=0)  # Traced for XProf.
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
