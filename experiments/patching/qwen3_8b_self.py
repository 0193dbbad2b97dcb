# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Qwen3-8B explains patches of itself (tables 2 and 5 of the paper).

Expected, in percent: exact match 64.0, has-changed F1 80.2, content 71.0; with
the vector left out of training (`--config.explainer.text_only`) 59.9, 76.5 and
68.6; untrained 5.0.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/act_patch_qwen3_8b_counterfact
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/patching/qwen3_8b_self.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 484.4 minutes; 349.18 M weights
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
    target=paper.QWEN,
    initial=paper.QWEN,
    batch=16,
    row_length=256,
    examples_per_row=2,
    steps=75_000,  # 20 epochs of 120,644 examples.
  )
