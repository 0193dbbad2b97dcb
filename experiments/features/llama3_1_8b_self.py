# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-8B explains its own features (table 1, figure 5 of the paper).

Expected, in percent, of LM judge, simulator, and simulator on activations and
on differences. With 1,024 features a layer (`train_explanations_32k`), as it is
set here: 54.4, 36.4, 44.8 and 27.6. With all features: 76.0, 45.6, 50.6 and
34.0; nearest neighbour 58.5, 33.7, 38.9 and 18.5.

  python -m launch.convert_published --workdir=CONVERTED \
    --config.source=SAE_feature_explanations_llama3.1_8b
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/features/llama3_1_8b_self.py \
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
  return paper.llama_features(initial=paper.LLAMA)
