# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How similar two descriptions are, as texts.

The paper asks a language model to judge (method C.1); whatever judges has this
interface. Without one, texts are compared by their words.
"""

import collections
from collections.abc import Mapping, Sequence
import math
import re
from typing import Any, Protocol

import numpy as np


class Similarity(Protocol):
  """Compares pairs of texts."""

  @property
  def settings(self) -> Mapping[str, Any]:
    """What compares, for metrics.json: `kind`, and what decides its figures."""
    ...

  def __call__(
    self, said: Sequence[str], expected: Sequence[str]
  ) -> np.ndarray:
    """Returns float64 [N], from 0, unrelated, to 1, the same; NaN for unknown.

    A text without words is similar to nothing.
    """
    ...


class Words:
  """Compares texts by the cosine of their word counts; a `Similarity`.

  Case, order and punctuation do not matter.
  """

  settings: Mapping[str, Any] = {'kind': 'words'}

  def __call__(
    self, said: Sequence[str], expected: Sequence[str]
  ) -> np.ndarray:
    pairs = zip(said, expected, strict=True)
    return np.array([_cosine(_counts(a), _counts(b)) for a, b in pairs])


def best(
  similar: Similarity,
  candidates: Sequence[Sequence[str]],
  expected: Sequence[str],
) -> np.ndarray:
  """Compares several candidates with each text: the most similar one counts.

  So the paper scores methods that say several things (method C.1); it flatters
  them, since without the text nobody knows which one to take.

  Returns:
    float64 [N]: 0 where there is no candidate; NaN where nothing is known of
    any.
  """
  counts = [len(several) for several in candidates]
  flat = similar(
    [said for several in candidates for said in several],
    [text for text, n in zip(expected, counts, strict=True) for _ in range(n)],
  )
  found = np.split(flat, np.cumsum(counts)[:-1]) if counts else []
  return np.array([np.fmax.reduce(own) if len(own) else 0.0 for own in found])


def _counts(text: str) -> collections.Counter[str]:
  return collections.Counter(re.findall(r'\w+', text.casefold()))


def _cosine(a: collections.Counter[str], b: collections.Counter[str]) -> float:
  squares = sum(n * n for n in a.values()) * sum(n * n for n in b.values())
  if not squares:
    return 0.0
  return sum(n * b[word] for word, n in a.items()) / math.sqrt(squares)
