# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What the features of a dictionary fire on, in words (method A.1).

Labels are the answers that an explainer of features is trained to give. Where
they come from is behind one interface: of a world, the concept that predicts a
feature best; of a real model, published descriptions.
"""

from collections.abc import Iterable
import dataclasses
from typing import Protocol

import numpy as np

# Joins two descriptions that both have to hold.
AND = ' and also '


@dataclasses.dataclass(frozen=True)
class Batch:
  """Documents, and what each of F features does on them.

  Attributes:
    tokens_BxT: int [B, T], a document a row.
    activations_BxTxF: float [B, T, F], 0 where a feature is silent.
  """

  tokens_BxT: np.ndarray
  activations_BxTxF: np.ndarray


@dataclasses.dataclass(frozen=True)
class Labels:
  """The labels of F features.

  Attributes:
    text: the description of each feature; None where none is good enough.
    concept: a key of the description for tables; None where `text` is.
    correlation: float64 [F], how well the best description, good enough or not,
      predicts the activations: Pearson's r over all tokens; 0 if nothing does.
    average_precision: float64 [F], of telling the tokens at which that
      description holds by the activation alone; 0 if there is none.
  """

  text: tuple[str | None, ...]
  concept: tuple[str | None, ...]
  correlation: np.ndarray
  average_precision: np.ndarray

  @property
  def labelled(self) -> np.ndarray:
    """Whether each feature has a label, bool [F]."""
    return np.array([text is not None for text in self.text], bool)


class Labeller(Protocol):
  """Gives the features of one dictionary their labels."""

  def label(self, batches: Iterable[Batch]) -> Labels:
    """Labels all features.

    Args:
      batches: the features' activations; read once, or not at all by a
        labeller that knows the labels already.
    """
    ...
