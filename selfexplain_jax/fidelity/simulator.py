# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How well a description predicts activations: simulator correlation.

Equation 2 of the paper (arXiv 2511.08579) is a mean of correlations within
sequences, `per_sequence`. The authors' code pools the tokens of all sequences
after fitting the prediction to the activations by least squares; the fit turns
whatever anticorrelates round, so that its figure is the absolute value of
`pooled`. Here the sign stays: a description of where a feature is silent is
wrong.

Letters: F features (or no such axis), S sequences, T tokens, without BOS.
"""

import numpy as np

from selfexplain_jax import errors


def pooled(real_FxSxT: np.ndarray, predicted_FxSxT: np.ndarray) -> np.ndarray:
  """Returns Pearson's r over all tokens of all sequences together.

  Args:
    real_FxSxT: the activations, [S, T] or [F, S, T].
    predicted_FxSxT: what the description predicts, of any scale: 1 where it
      holds and 0 elsewhere, say. The same shape.

  Returns:
    float64 [] or [F]: 0 for a constant prediction; NaN for a feature that is
    constant on these sequences, where there is nothing to predict.

  Raises:
    errors.InputError: if shapes differ or a value is not finite.
  """
  real, predicted = _checked(real_FxSxT, predicted_FxSxT)
  shape = (*real.shape[:-2], real.shape[-2] * real.shape[-1])
  return _correlation(real.reshape(shape), predicted.reshape(shape))


def per_sequence(
  real_FxSxT: np.ndarray, predicted_FxSxT: np.ndarray
) -> np.ndarray:
  """Returns the mean of Pearson's r within each sequence: equation 2.

  Only sequences in which the feature is not constant count. In these, a
  constant prediction has r = 0.

  Args:
    real_FxSxT: as in `pooled`.
    predicted_FxSxT: as in `pooled`.

  Returns:
    float64 [] or [F]; NaN where no sequence counts.

  Raises:
    errors.InputError: as in `pooled`.
  """
  r_FxS = _correlation(*_checked(real_FxSxT, predicted_FxSxT))
  counts_FxS = ~np.isnan(r_FxS)
  sequences_F = counts_FxS.sum(-1)
  total_F = np.where(counts_FxS, r_FxS, 0).sum(-1)
  return np.where(sequences_F > 0, total_F / np.maximum(sequences_F, 1), np.nan)


def _checked(
  real: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns both as float64, if they are of one shape and finite."""
  real = np.asarray(real, np.float64)
  predicted = np.asarray(predicted, np.float64)
  if real.shape != predicted.shape or real.ndim < 2:
    raise errors.InputError(
      'simulator: expected activations and predictions of one shape'
      f' [features, sequences, tokens], got {list(real.shape)} and'
      f' {list(predicted.shape)}'
    )
  if not (np.isfinite(real).all() and np.isfinite(predicted).all()):
    raise errors.InputError(
      'simulator: expected finite activations and predictions, got'
      f' {np.count_nonzero(~np.isfinite(real))} and'
      f' {np.count_nonzero(~np.isfinite(predicted))} values that are not'
    )
  return real, predicted


def _correlation(real: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """Returns Pearson's r over the last axis: see `pooled` for constants."""
  if not real.shape[-1]:
    return np.full(real.shape[:-1], np.nan)
  # Means are rounded, so a constant is seen before they are taken off.
  flat_real = np.ptp(real, -1) == 0
  flat_predicted = np.ptp(predicted, -1) == 0
  a = real - real.mean(-1, keepdims=True)
  b = predicted - predicted.mean(-1, keepdims=True)
  scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
  r = (a * b).sum(-1) / np.where(flat_real | flat_predicted, 1, scale)
  return np.where(flat_real, np.nan, np.where(flat_predicted, 0, r))
