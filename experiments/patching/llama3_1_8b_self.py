# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-8B explains patches of itself (tables 2 and 5 of the paper).

Expected, in percent: exact match 48.6, has-changed F1 77.5, content 54.6; with
the vector left out of training (`--config.explainer.text_only`) 45.2, 73.9 and
50.8; untrained 3.2.

  hf download --repo-type dataset --local-dir DATA \
    Transluce/act_patch_llama_3.1_8b_counterfact
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/patching/llama3_1_8b_self.py \
    --config.explanations.published.train='DATA/data/train-*.parquet' \
    --config.explanations.published.test='DATA/data/test-*.parquet'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 53.8 minutes; 335.54 M weights
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
    target=paper.LLAMA,
    initial=paper.LLAMA,
    batch=16,
    row_length=256,
    examples_per_row=2,
    steps=8_400,  # 20 epochs of 13,454 examples.
  )
