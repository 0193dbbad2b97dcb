# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the set of feature descriptions of a world model.

python -m launch.make_explanations --workdir=DIR \
    --config=experiments/features/explanations.py \
    --config.target=MODEL_DIR --config.dictionary=DICTIONARY_DIR

With the argument `text` features are labelled and descriptions scored on text
files, --config.corpus.files='DIR/*.jsonl', instead of the target's own corpus.
"""

import ml_collections

from experiments import endpoint
from selfexplain_jax.dictionary import published_figures


def get_config(corpus: str = 'biographies') -> ml_collections.ConfigDict:
  """Returns the configuration, for one of the kinds of corpora."""
  if corpus not in ('biographies', 'text'):
    raise ValueError(f'no corpus {corpus!r}: expected biographies or text')
  config = ml_collections.ConfigDict()
  config.task = 'features'
  config.target = ''
  config.dictionary = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  # Documents of the corpus: for labels, and the next ones for scores. Of text
  # only those are taken that are as long as that.
  # The dictionary's store comes not so far, nor does pretraining.
  start = 2_000_000 if corpus == 'biographies' else 8192
  config.documents = dict(start=start, labels=1024, scores=256, length=64)
  if corpus == 'text':
    config.corpus = dict(files='', field='text')
  # Where labels come from: `concepts` of the target's world, or `endpoint`, a
  # language model that reads where a feature is active. So many features of
  # each layer (0 for all); of several candidates, that which the simulator, a
  # directory of train_simulator, predicts activations best from.
  config.labels = dict(
    source='concepts',
    features=0,
    candidates=1,
    simulator='',
    simulator_convention='',
    **endpoint.get_config(),
  )
  # The least correlation of a concept with its feature's activations.
  config.threshold = 0.6
  # Of the labels those that are for test alone; and of the features with other
  # labels. What remains is for training.
  config.shares = dict(test_labels=0.1, validation=0.1, test=0.35)
  # Activations, and as many differences of activations, for each layer: for
  # evaluation alone.
  config.unlabelled = 20
  # Figures that were published with the dictionaries, which have to be met: see
  # experiments/features/published_dictionary.py.
  config.expected = published_figures.config()
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
