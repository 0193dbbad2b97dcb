# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Qwen3-8B explains patches of Llama-3.1-8B (tables 2 and 5 of the paper).

Expected, in percent: exact match 41.7, has-changed F1 75.1, content 47.6. Both
models are 4,096 wide, so that vectors enter as they are.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/act_patch_llama_3.1_8b_counterfact
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/patching/llama3_1_8b_qwen3_8b.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 27.1 minutes; 349.18 M weights
trained of 8190.74 M; weights, gradients and optimizer 22 GB, on each of 16
devices 1.37 GB, and roughly 0.387 GB for a step.
"""

import ml_collections

from experiments import paper
from experiments.patching import published


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.flow(
    published.get_config(),
    target=paper.LLAMA,
    initial=paper.QWEN,
    batch=16,
    row_length=256,
    examples_per_row=2,
    steps=4_200,  # 10 epochs of 13,454 examples.
  )
