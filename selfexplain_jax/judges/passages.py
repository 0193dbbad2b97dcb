# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Passages in which features are active, and others in which they are silent.

They are collected in one pass over documents, of which only those are held that
are kept so far. What is kept does not depend on how documents come in batches.
"""

from collections.abc import Iterable
import dataclasses
import zlib

import numpy as np

from selfexplain_jax.tasks import labels


@dataclasses.dataclass(frozen=True)
class Passages:
  """What F features do in their passages.

  Attributes:
    features: i64[F], which features.
    total: how many there are to choose from.
    tokens: i32[M, T], all documents.
    active: i64[F, K], documents in which each is most active, the most active
      one first; -1 where there are fewer.
    activations: f32[F, K, T], in these; 0 at the first token, which is BOS or
      in its place.
    silent: i64[F, N], documents drawn of those in which it is never active; -1
      where there are fewer.
  """

  features: np.ndarray
  total: int
  tokens: np.ndarray
  active: np.ndarray
  activations: np.ndarray
  silent: np.ndarray


def collect(
  batches: Iterable[labels.Batch],
  *,
  most: int,
  active: int,
  silent: int,
  seed: int,
) -> Passages:
  """Collects passages.

  Args:
    batches: documents with the activations of all features.
    most: features that are looked at, drawn at random; 0 for all.
    active: passages kept of each in which it is most active, K.
    silent: passages kept in which it is silent, N.
    seed: of what is drawn.
  """
  tokens: list[np.ndarray] = []
  features, total, read = np.zeros(0, np.int64), 0, 0
  best = calm = None
  for batch in batches:
    count, length, total = batch.activations_BxTxF.shape
    if best is None or calm is None:
      features = _drawn(total, most, seed)
      best = _Best(len(features), active, length)
      calm = _Best(len(features), silent, 0)
    found_BxTxF = np.array(batch.activations_BxTxF[..., features], np.float32)
    found_BxTxF[:, 0] = 0
    peak_BxF = found_BxTxF.max(1)
    documents = np.arange(read, read + count)
    best.update(peak_BxF, documents, found_BxTxF)
    draws_BxF = np.stack([_draws(total, seed, d) for d in documents.tolist()])
    calm.update(
      np.where(peak_BxF > 0, 0, draws_BxF[:, features]),
      documents,
      found_BxTxF[:, :0],
    )
    tokens.append(batch.tokens_BxT)
    read += count
  if best is None or calm is None:
    best = calm = _Best(0, active, 0)
    tokens = [np.zeros((0, 0), np.int32)]
  return Passages(
    features,
    total,
    np.concatenate(tokens),
    best.document_KxF.T,
    best.rows_KxFxT.swapaxes(0, 1),
    calm.document_KxF.T,
  )


class _Best:
  """The documents with the highest values above 0 of each feature so far."""

  def __init__(self, features: int, kept: int, length: int):
    self.value_KxF = np.zeros((kept, features), np.float32)
    self.document_KxF = np.full((kept, features), -1, np.int64)
    self.rows_KxFxT = np.zeros((kept, features, length), np.float32)

  def update(
    self,
    value_BxF: np.ndarray,
    documents_B: np.ndarray,
    rows_BxTxF: np.ndarray,
  ) -> None:
    """Takes in documents; of equal values the earlier ones stay."""
    kept = len(self.value_KxF)
    value = np.concatenate([self.value_KxF, value_BxF.astype(np.float32)])
    order_KxF = np.argsort(-value, 0, 'stable')[:kept]
    old = np.minimum(order_KxF, kept - 1)
    rows = np.take_along_axis(self.rows_KxFxT, old[..., None], 0)
    document = np.take_along_axis(self.document_KxF, old, 0)
    k, feature = np.nonzero(order_KxF >= kept)
    new = order_KxF[k, feature] - kept
    rows[k, feature] = rows_BxTxF[new, :, feature]
    document[k, feature] = documents_B[new]
    self.value_KxF = np.take_along_axis(value, order_KxF, 0)
    self.document_KxF = np.where(self.value_KxF > 0, document, -1)
    self.rows_KxFxT = rows


def _drawn(total: int, most: int, seed: int) -> np.ndarray:
  """Returns which features are looked at, ascending."""
  if not most:
    return np.arange(total)
  rng = np.random.default_rng([seed, zlib.crc32(b'labelled features')])
  return np.sort(rng.permutation(total)[:most])


def _draws(total: int, seed: int, document: int) -> np.ndarray:
  """Returns a number above 0 for each feature in a document."""
  key = [seed, zlib.crc32(b'silent passages'), document]
  return 1 - np.random.default_rng(key).random(total, np.float32)
