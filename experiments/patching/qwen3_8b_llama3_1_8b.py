# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-8B explains patches of Qwen3-8B (tables 2 and 5 of the paper).

Expected, in percent: exact match 54.1, has-changed F1 73.9, content 65.4. Both
models are 4,096 wide, so that vectors enter as they are.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/act_patch_qwen3_8b_counterfact
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/patching/qwen3_8b_llama3_1_8b.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 480.3 minutes; 335.54 M weights
trained of 8030.26 M; weights, gradients and optimizer 21.4 GB, on each of 16
devices 1.34 GB, and roughly 0.33 GB for a step.
"""

import ml_collections

from experiments import paper
from experiments.patching import published


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.flow(
    published.get_config(),
    target=paper.QWEN,
    initial=paper.LLAMA,
    batch=16,
    row_length=256,
    examples_per_row=2,
    steps=75_000,  # 20 epochs of 120,644 examples.
  )
