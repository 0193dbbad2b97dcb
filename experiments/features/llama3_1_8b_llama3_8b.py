# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3-8B explains features of Llama-3.1-8B (table 1 of the paper).

Expected, in percent, of LM judge, simulator, and simulator on activations and
on differences, with all features: 77.0, 44.6, 49.3 and 32.4. Here, 1,024 a
layer are set.

  python -m launch.convert_published --workdir=CONVERTED \
    --config.source=SAE_feature_explanations_llama3.1_8b
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/features/llama3_1_8b_llama3_8b.py \
    --config.explanations.published.folder=CONVERTED

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 23.8 minutes; 335.54 M weights
trained of 8030.26 M; weights, gradients and optimizer 21.4 GB, on each of 16
devices 1.34 GB, and roughly 0.247 GB for a step. Judge and simulator are the
paper's; the judge's key is in OPENAI_API_KEY.
"""

import ml_collections

from experiments import paper


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.llama_features(initial=paper.LLAMA_3)
