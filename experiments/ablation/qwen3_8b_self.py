# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Qwen3-8B explains what its hints do (tables 2 and 6 of the paper).

Expected, in percent: exact match 83.4, has-changed F1 87.0, content 90.6;
untrained 8.9. All weights are tuned, at the rate to which the authors lowered
theirs later.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/input_ablation_qwen3_8b_mmlu_hint
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/ablation/qwen3_8b_self.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 255.1 minutes; 8190.74 M
weights trained; weights, gradients and optimizer 131 GB, on each of 16 devices
8.2 GB, and roughly 0.967 GB for a step.
"""

import ml_collections

from experiments import paper
from experiments.ablation import published


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.flow(
    published.get_config(),
    target=paper.QWEN,
    initial=paper.QWEN,
    batch=16,
    row_length=640,
    examples_per_row=1,
    steps=15_800,  # 20 epochs of 12,642 examples.
    rate=1e-5,
    lora_rank=0,
  )
