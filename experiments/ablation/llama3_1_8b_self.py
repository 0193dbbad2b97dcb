# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-8B-Instruct explains what its hints do (tables 2 and 6).

Expected, in percent: exact match 63.8, has-changed F1 74.2, content 75.3;
untrained 8.1. All weights are tuned.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/input_ablation_llama_3.1_8b_instruct_mmlu_hint
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/ablation/llama3_1_8b_self.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 379.4 minutes; 8030.26 M
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
    target=paper.LLAMA_INSTRUCT,
    initial=paper.LLAMA_INSTRUCT,
    batch=16,
    row_length=640,
    examples_per_row=1,
    steps=23_700,  # 30 epochs of 12,642 examples.
    rate=1e-5,
    lora_rank=0,
  )
