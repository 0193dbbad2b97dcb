# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Directions of described concepts: differences of means.

The mean activation where a description holds, less that of all tokens, is the
direction in which activations move with what is described, as in mass-mean
probing (Marks and Tegmark, 2023). A description that
cannot be told from the activations by any linear probe has no such direction
worth the name; how well the best one does is the multiple correlation.

Letters: L layers, C descriptions, N tokens, D width.
"""

from collections.abc import Iterable
import dataclasses

import numpy as np
from scipy import sparse

from selfexplain_jax import errors

# Directions in which standardised activations vary less than this part of the
# most are no use to a probe: rounding is as large.
_LEAST_VARIANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class MeanDifferences:
  """What C descriptions do to activations.

  Attributes:
    direction_LxCxD: f32, of length 1, or 0 where the means are the same.
    correlation_LxC: float64, of where a description holds with the best linear
      function of the activations, on the tokens that it was fitted to; 0 where
      it holds everywhere or nowhere.
    together_CxC: int, at how many tokens two descriptions both hold.
  """

  direction_LxCxD: np.ndarray
  correlation_LxC: np.ndarray
  together_CxC: np.ndarray

  @property
  def tokens_C(self) -> np.ndarray:
    """At how many tokens each description holds."""
    return self.together_CxC.diagonal()

  def same(self, one: int) -> np.ndarray:
    """Which descriptions hold at the same tokens as one of them, bool [C]."""
    tokens_C = self.tokens_C
    return (self.together_CxC[one] == tokens_C) & (tokens_C == tokens_C[one])


def mean_differences(
  batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> MeanDifferences:
  """Finds the directions, from one pass over the tokens.

  A description that holds at a share p of the tokens and moves the mean by d
  has the multiple correlation R with R^2 = p / (1 - p) d' S^-1 d, where S is
  the covariance of the activations.

  Args:
    batches: where each description holds, bool [C, N], and the activations at
      the same tokens, float [L, N, D].

  Raises:
    errors.InputError: if there is no token.
  """
  tokens = 0
  # Sums take their shapes from the first batch.
  together_CxC = sum_LxD = square_LxDxD = held_LxCxD = np.zeros(())
  for holds_CxN, activations in batches:
    holds = sparse.csr_array(holds_CxN).astype(np.float64)
    activations_LxNxD = activations.astype(np.float64)
    tokens += activations_LxNxD.shape[1]
    together_CxC = together_CxC + (holds @ holds.T).toarray()
    sum_LxD = sum_LxD + activations_LxNxD.sum(1)
    square_LxDxD = square_LxDxD + np.stack([a.T @ a for a in activations_LxNxD])
    held_LxCxD = held_LxCxD + np.stack([holds @ a for a in activations_LxNxD])
  if not tokens:
    raise errors.InputError(
      'directions of concepts: expected at least one token, got none'
    )

  count_C = np.diagonal(together_CxC)
  mean_LxD = sum_LxD / tokens
  difference_LxCxD = (
    held_LxCxD / np.maximum(count_C, 1)[:, None] - mean_LxD[:, None]
  )
  difference_LxCxD[:, count_C == 0] = 0
  covariance_LxDxD = (
    square_LxDxD / tokens - mean_LxD[:, :, None] * mean_LxD[:, None]
  )
  share_C = count_C / tokens
  odds_C = share_C / np.maximum(1 - share_C, 1 / tokens)
  explained_LxC = []
  for covariance_DxD, difference_CxD in zip(
    covariance_LxDxD, difference_LxCxD, strict=True
  ):
    deviation_D = np.sqrt(np.clip(np.diagonal(covariance_DxD), 0, None))
    deviation_D = np.where(deviation_D > 0, deviation_D, 1)
    inverse_DxD = np.linalg.pinv(
      covariance_DxD / np.outer(deviation_D, deviation_D),
      rcond=_LEAST_VARIANCE,
      hermitian=True,
    )
    standard_CxD = difference_CxD / deviation_D
    explained_LxC.append(
      odds_C * np.sum(standard_CxD @ inverse_DxD * standard_CxD, axis=1)
    )
  length_LxC = np.linalg.norm(difference_LxCxD, axis=-1, keepdims=True)
  unit_LxCxD = difference_LxCxD / np.where(length_LxC > 0, length_LxC, 1)
  return MeanDifferences(
    unit_LxCxD.astype(np.float32),
    np.sqrt(np.clip(explained_LxC, 0, 1)),
    together_CxC.astype(np.int64),
  )
