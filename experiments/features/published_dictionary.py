# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Measures published dictionaries, before anything is explained with them.

  python -m launch.check_dictionary --workdir=DIR \
    --config=experiments/features/published_dictionary.py \
    --config.target=MODEL_DIR --config.dictionary=DICTIONARY_DIR \
    --config.corpus.files='TEXTS/*.jsonl' '--config.expected.l0=(50.0,)'

The directory is of Llama Scope, of Gemma Scope or of SAELens: that of one
dictionary, or of a release with one for each layer. In names of folders *
chooses: 'gemma-scope-2b-pt-res/layer_*/width_16k/average_l0_7*'.

Expected: L0 and variance explained within the tolerances of what was published
with the dictionaries, on text like that which they were trained on. It exits
with 1 otherwise, or if more features fire than any method would let.
"""

import ml_collections

from selfexplain_jax.dictionary import published_figures


def get_config() -> ml_collections.ConfigDict:
  """Returns the configuration."""
  config = ml_collections.ConfigDict()
  config.target = ''
  config.dictionary = ''
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Text files, and the field of their records that is read; with no files, the
  # corpus of a model of the world.
  config.corpus = dict(files='', field='text')
  # From which document on, how many, and how many tokens of each; shorter ones
  # are passed over.
  config.documents = dict(start=0, count=256, length=64)
  config.batch = 16  # Documents at a time.
  # One number for all layers, or one for each; the tolerances are a share of
  # L0, and a difference in variance explained.
  config.expected = published_figures.config()
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
