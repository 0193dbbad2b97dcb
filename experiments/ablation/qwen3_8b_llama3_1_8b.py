# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-8B-Instruct explains what hints do to Qwen3-8B (tables 2, 6).

Expected, in percent: exact match 58.1, has-changed F1 70.5, content 71.6. All
weights are tuned.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/input_ablation_qwen3_8b_mmlu_hint
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/ablation/qwen3_8b_llama3_1_8b.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 253.0 minutes; 8030.26 M
weights trained; weights, gradients and optimizer 128 GB, on each of 16 devices
8.03 GB, and roughly 0.824 GB for a step.
"""

import ml_collections

from experiments import paper
from experiments.ablation import published


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.flow(
    published.get_config(),
    target=paper.QWEN,
    initial=paper.LLAMA_INSTRUCT,
    batch=16,
    row_length=640,
    examples_per_row=1,
    steps=15_800,  # 20 epochs of 12,642 examples.
    rate=1e-5,
    lora_rank=0,
  )
