# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Gemma-2-9B explains its own features (table 3 of the paper).

Expected, in percent, of the LM judge: 43.5; nearest neighbour 32.4.

The features are those of Gemma Scope, DICTIONARY, the descriptions
Neuronpedia's exports about them, and descriptions are checked on any texts.

  python -m launch.flow --workdir=gs://BUCKET/DIR \
    --config=experiments/features/gemma2_9b_self.py \
    --config.dictionary=DICTIONARY \
    --config.explanations.published.explanations='EXPORT/*.jsonl.gz' \
    --config.explanations.corpus.files='TEXTS/*.jsonl'

on all hosts of 16 chips; with others, set --config.mesh.fsdp.
`--dry_run` prints that the tuning takes roughly 29.6 minutes; 432.14 M weights
trained of 9241.71 M; weights, gradients and optimizer 25.4 GB, on each of 16
devices 1.59 GB, and roughly 0.451 GB for a step. The judge is the paper's; its
key is in OPENAI_API_KEY.
"""

import ml_collections

from experiments import paper


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  return paper.gemma_features(initial=paper.GEMMA)
