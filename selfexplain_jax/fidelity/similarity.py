# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How similar two descriptions are, as texts.

The paper asks a language model to judge (method C.1); whatever judges has this
interface. Without one, texts are compared by their words.
"""

import collections
from collections.abc import Sequence
import math
import re
from typing import Protocol

import numpy as np


class Similarity(Protocol):
  """Compares pairs of texts."""

  def __call__(
    self, said: Sequence[str], expected: Sequence[str]
  ) -> np.ndarray:
    """Returns float64 [N], from 0, unrelated, to 1, the same."""
    ...


def word_cosine(said: Sequence[str], expected: Sequence[str]) -> np.ndarray:
  """Compares texts by the cosine of their word counts; a `Similarity`.

  Case, order and punctuation do not matter. A text without words is similar to
  nothing.
  """
  pairs = zip(said, expected, strict=True)
  return np.array([_cosine(_counts(a), _counts(b)) for a, b in pairs])


def _counts(text: str) -> collections.Counter[str]:
  return collections.Counter(re.findall(r'\w+', text.casefold()))


def _cosine(a: collections.Counter[str], b: collections.Counter[str]) -> float:
  squares = sum(n * n for n in a.values()) * sum(n * n for n in b.values())
  if not squares:
    return 0.0
  return sum(n * b[word] for word, n in a.items()) / math.sqrt(squares)
