# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Llama-3.1-70B explains features of Llama-3.1-8B (table 1 of the paper).

Expected, in percent, of LM judge, simulator, and simulator on activations and
on differences, with all features: 74.1, 45.2, 33.8 and 20.6 from a projection
that was trained before, 63.9, 39.5, 12.6 and 12.2 from a random one with an
adapter of its own. Here, 1,024 features a layer are set, and the projection
starts from ridge regression on the activations of both on texts
(`--config.explainer.corpus.files`) and is trained in full rank. The base alone
takes 141 GB.

  python -m launch.convert_published --workdir=CONVERTED \
    --config.source=SAE_feature_explanations_llama3.1_8b
  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/features/llama3_1_8b_llama3_1_70b.py \
    --config.explanations.published.folder=CONVERTED

on all hosts of 64 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 55.2 minutes; 1656.75 M weights
trained of 70553.71 M; weights, gradients and optimizer 168 GB, on each of 64
devices 2.62 GB, and roughly 0.112 GB for a step. Judge and simulator are the
paper's; the judge's key is in OPENAI_API_KEY.
"""

import ml_collections

from experiments import paper


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.llama_features(
    initial=paper.LLAMA_70B,
    projection='ridge',
    chips=64,
  )
