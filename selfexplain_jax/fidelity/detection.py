# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Whether a description tells where a feature fires from where it does not.

Two scores that are independent of the simulator's: it rewards broad
descriptions on sequences chosen for firing, and may have chosen the labels too
(method F.20, F.26). The tasks are those that are known as detection and
fuzzing, with the executed description as the judge. In both, a description that
holds nowhere or everywhere is at chance, one half.

Letters: F features (or no such axis), S sequences, T tokens, without BOS.
"""

from collections.abc import Sequence
import zlib

import numpy as np

from selfexplain_jax import errors

# A description holds where what it predicts is above this.
_HOLDS = 0.5


def detection_accuracy(
  real_FxSxT: np.ndarray, predicted_FxSxT: np.ndarray
) -> np.ndarray:
  """Returns how well a description says in which sequences a feature fires.

  Args:
    real_FxSxT: the activations, [S, T] or [F, S, T]; the feature fires where
      they are above 0.
    predicted_FxSxT: what the description says, from 0 to 1; it holds above one
      half. The same shape.

  Returns:
    float64 [] or [F]: balanced accuracy, the mean of the shares of sequences
    that are judged right among those where the feature fires and among those
    where it does not; NaN if there are none of either.

  Raises:
    errors.InputError: if shapes differ.
  """
  fires, holds = _checked(real_FxSxT, predicted_FxSxT)
  fires_FxS, holds_FxS = fires.any(-1), holds.any(-1)
  hits = _share(holds_FxS, fires_FxS)
  return (hits + _share(~holds_FxS, ~fires_FxS)) / 2


def fuzzing_accuracy(
  real_FxSxT: np.ndarray,
  predicted_FxSxT: np.ndarray,
  records_F: Sequence[int] | np.ndarray | int,
  seed: int,
) -> np.ndarray:
  """Returns how well a description tells right marks from wrong ones.

  Each sequence in which the feature fires is judged twice: once the tokens are
  marked at which it fires, once as many others, drawn at random, or all others
  if there are less. The description approves of the marks if it holds at more
  than half of them. Sequences where the feature fires everywhere do not count.

  Args:
    real_FxSxT: as in `detection_accuracy`.
    predicted_FxSxT: as in `detection_accuracy`.
    records_F: the id of each feature's record, [F] or one number. What is drawn
      for a record depends on its id, the seed and S and T alone.
    seed: of the draws.

  Returns:
    float64 [] or [F]: the share of the judgements that are right; NaN if no
    sequence counts.

  Raises:
    errors.InputError: if shapes differ, or ids are not one a feature.
  """
  fires, holds = _checked(real_FxSxT, predicted_FxSxT)
  records = np.asarray(records_F, np.int64)
  if records.shape != fires.shape[:-2]:
    raise errors.InputError(
      'fuzzing: expected one record id a feature, so of shape'
      f' {list(fires.shape[:-2])}, got {list(records.shape)}'
    )
  draws = np.array(
    [
      _draws(seed, record, fires.shape[-2:])
      for record in records.reshape(-1).tolist()
    ]
  ).reshape(fires.shape)
  # Silent tokens by their draw, then those that fire: the first ones are wrong.
  order = np.argsort(np.where(fires, 2, draws), -1)
  wanted = np.minimum(fires.sum(-1), (~fires).sum(-1))[..., None]
  wrong = np.zeros_like(fires)
  np.put_along_axis(wrong, order, np.arange(fires.shape[-1]) < wanted, -1)
  counted = wrong.any(-1)
  approved = _share(_majority(holds, fires), counted)
  return (approved + _share(~_majority(holds, wrong), counted)) / 2


def _checked(
  real: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns where the feature fires and where the description holds."""
  real, predicted = np.asarray(real), np.asarray(predicted)
  if real.shape != predicted.shape or real.ndim < 2:
    raise errors.InputError(
      'detection: expected activations and predictions of one shape'
      f' [features, sequences, tokens], got {list(real.shape)} and'
      f' {list(predicted.shape)}'
    )
  return real > 0, predicted > _HOLDS


def _draws(seed: int, record: int, shape: tuple[int, ...]) -> np.ndarray:
  """Returns numbers from 0 to 1 that depend on seed, record and purpose."""
  rng = np.random.default_rng([seed, zlib.crc32(b'fuzzing'), record])
  return rng.random(shape)


def _majority(holds: np.ndarray, marks: np.ndarray) -> np.ndarray:
  """Returns whether the description holds at more than half of the marks."""
  return 2 * (holds & marks).sum(-1) > marks.sum(-1)


def _share(
  right_FxS: np.ndarray | np.bool_, where_FxS: np.ndarray | np.bool_
) -> np.ndarray:
  """Returns the share that is right of the sequences `where`; NaN of none."""
  total = where_FxS.sum(-1)
  share = (right_FxS & where_FxS).sum(-1) / np.maximum(total, 1)
  return np.where(total > 0, share, np.nan)
