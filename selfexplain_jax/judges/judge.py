# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Who judges how similar a description is to its label."""

import ml_collections

from selfexplain_jax import errors
from selfexplain_jax.fidelity import similarity
from selfexplain_jax.judges import chat
from selfexplain_jax.judges import embeddings
from selfexplain_jax.judges import rating


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the config of a judge without loading or asking anybody.

  Raises:
    errors.InputError: if there is no such judge, or a field makes no sense.
  """
  if config.kind == 'embeddings':
    embeddings.check(config.model)
  else:
    make(config)


def make(config: ml_collections.ConfigDict) -> similarity.Similarity:
  """Returns the judge of a config.

  Args:
    config: `kind`: `words`, which needs nothing else; `endpoint`, with the
      fields of `chat.make`; or `embeddings`, with `model`.

  Raises:
    errors.InputError: if there is no such judge, or a field makes no sense.
  """
  match config.kind:
    case 'words':
      return similarity.Words()
    case 'endpoint':
      return rating.Ratings(chat.make(config, 'config.judge'))
    case 'embeddings':
      return embeddings.load(config.model)
  raise errors.InputError(
    f'config.judge.kind is {config.kind!r}: expected words, endpoint or '
    'embeddings'
  )
