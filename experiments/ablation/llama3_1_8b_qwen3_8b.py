# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Qwen3-8B explains what hints do to Llama-3.1-8B-Instruct (tables 2, 6).

Expected, in percent: exact match 56.7, has-changed F1 71.3, content 67.8. All
weights are tuned.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/input_ablation_llama_3.1_8b_instruct_mmlu_hint
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/ablation/llama3_1_8b_qwen3_8b.py \
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
    target=paper.LLAMA_INSTRUCT,
    initial=paper.QWEN,
    batch=16,
    row_length=640,
    examples_per_row=1,
    steps=15_800,  # 20 epochs of 12,642 examples.
    rate=1e-5,
    lora_rank=0,
  )
