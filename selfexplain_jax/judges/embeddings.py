# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The cosine of two descriptions' sentence embeddings.

The encoder is a model of the library sentence-transformers, which needs
PyTorch: an extra that is imported when it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import importlib.util
from typing import Any

import numpy as np

from selfexplain_jax import errors


@dataclasses.dataclass(frozen=True)
class Embeddings:
  """Compares embeddings; a `similarity.Similarity`.

  Attributes:
    model: name of the encoder.
    encode: maps N texts to their embeddings, float [N, D].
  """

  model: str
  encode: Callable[[list[str]], np.ndarray]

  @property
  def settings(self) -> Mapping[str, Any]:
    """The encoder decides."""
    return {'kind': 'embeddings', 'model': self.model}

  def __call__(
    self, said: Sequence[str], expected: Sequence[str]
  ) -> np.ndarray:
    """Returns cosines; those below 0 count as unrelated, 0."""
    pairs = list(zip(said, expected, strict=True))
    found = np.zeros(len(pairs))
    words = [n for n, (a, b) in enumerate(pairs) if a.strip() and b.strip()]
    if not words:
      return found
    texts = sorted({text for n in words for text in pairs[n]})
    vectors = np.asarray(self.encode(texts), np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    row = {text: vector for text, vector in zip(texts, vectors, strict=True)}
    for n in words:
      a, b = pairs[n]
      found[n] = np.clip(row[a] @ row[b], 0, 1)
    return found


def check(model: str) -> None:
  """Checks what can be checked without loading an encoder.

  Raises:
    errors.InputError: if no model is named, or the library is missing.
  """
  if not model:
    raise errors.InputError(
      'config.judge.model is empty: expected the name or folder of a model of '
      'sentence-transformers, such as all-MiniLM-L6-v2'
    )
  if importlib.util.find_spec('sentence_transformers') is None:
    raise errors.InputError(
      'config.judge.kind is embeddings, and sentence-transformers is not '
      "installed: expected pip install 'selfexplain_jax[embeddings]'"
    )


def load(model: str) -> Embeddings:
  """Loads an encoder, from a folder or by its name on the hub.

  Raises:
    errors.InputError: if the library is missing, or has no such model.
  """
  check(model)
  import sentence_transformers  # noqa: PLC0415

  try:
    encoder = sentence_transformers.SentenceTransformer(model)
  except (OSError, ValueError) as e:
    raise errors.InputError(
      f'config.judge.model is {model!r}, which cannot be loaded: {e}: expected '
      'a model of sentence-transformers'
    ) from e
  return Embeddings(
    model, lambda texts: encoder.encode(texts, show_progress_bar=False)
  )
