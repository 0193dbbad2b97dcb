# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Makes the set of published feature descriptions (method A.1, E.1).

In the layout of the paper's data, converted by `launch.convert_published`:

  python -m launch.make_explanations --workdir=DIR \
    --config=experiments/features/published.py:layout \
    --config.target=MODEL_DIR --config.published.folder=CONVERTED

or of Neuronpedia's exports about the features of a published dictionary:

  python -m launch.make_explanations --workdir=DIR \
    --config=experiments/features/published.py:neuronpedia \
    --config.target=MODEL_DIR --config.dictionary=DICTIONARY_DIR \
    --config.published.explanations='EXPORT/explanations/*.jsonl.gz' \
    --config.corpus.files='TEXTS/*.jsonl'

and with `vectors` of exports whose lines have the features' vectors.
"""

import ml_collections

KINDS = ('layout', 'neuronpedia', 'vectors')


def get_config(kind: str = 'layout') -> ml_collections.ConfigDict:
  """Returns the configuration for one kind of data."""
  if kind not in KINDS:
    raise ValueError(f'no kind {kind!r}: expected {", ".join(KINDS)}')
  config = ml_collections.ConfigDict()
  config.task = 'features'
  config.maker = 'published'
  config.target = ''
  config.seed = 0
  # Of the activations and parameters of the target.
  config.dtype = 'float32'
  if kind == 'layout':
    config.published = dict(
      folder='',
      # Files in `explanations`, such as `train_explanations_32k`.
      train='train_explanations',
      test='test_explanations',
      # Folders of vectors that are no features, for evaluation alone.
      activations='',
      differences='',
    )
    # Of the training features, those that are for validation.
    config.validation_share = 0.05
    # Documents of each test feature in which it is most active.
    config.exemplars = 20
  else:
    config.published = dict(explanations='')
    config.shares = dict(validation=0.05, test=0.05)
  if kind == 'neuronpedia':
    config.dictionary = ''
  # Where there are no exemplars, descriptions are checked on these texts.
  config.corpus = dict(files='', field='text')
  config.documents = dict(scores=256, length=64)
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  return config
