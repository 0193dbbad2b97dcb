# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Where vectors are active: the documents that descriptions are scored on.

As in method C.2 these are the documents in which a vector is most active;
beside them stand as many drawn at random, lest broad descriptions be rewarded.
Only the activations on the chosen documents are held.
"""

from collections.abc import Iterator, Sequence
import dataclasses
from typing import Any
import zlib

import jax.numpy as jnp
import numpy as np

from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.dictionary import exemplars
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import decoder
from selfexplain_jax.tasks import features

_BATCH = 64  # Documents read at once.
_TOP = 10  # Documents of either kind.


@dataclasses.dataclass(frozen=True)
class Firing:
  """What N vectors do on S documents each.

  Attributes:
    documents: i64[N, S], which documents: those in which the vector is most
      active first, the most active one first of all.
    activations: f32[N, S, T]; 0 at BOS, which is the same everywhere.
  """

  documents: np.ndarray
  activations: np.ndarray

  @property
  def active(self) -> np.ndarray:
    """Whether each vector is active anywhere, bool[N]."""
    return np.any(self.activations > 0, (1, 2))


def directions(vectors_NxD: np.ndarray) -> sparse_autoencoder.SparseAutoencoder:
  """Vectors as features: each is as active as max(0, h . v) (section 2.2)."""
  none = jnp.zeros(len(vectors_NxD), jnp.float32)
  return sparse_autoencoder.SparseAutoencoder(
    encoder_DxS=jnp.asarray(vectors_NxD.T),
    encoder_bias_S=none,
    decoder_SxD=jnp.asarray(vectors_NxD),
    decoder_bias_D=jnp.zeros(vectors_NxD.shape[1], jnp.float32),
    threshold_S=none,
  )


def observe(
  model: decoder.Decoder,
  dictionary: dictionaries.Dictionaries | None,
  rows: Sequence[dict[str, Any]],
  vectors_NxD: np.ndarray,
  documents_MxT: np.ndarray,
  seed: int,
) -> Firing:
  """Finds each vector's documents, and what it does there.

  Args:
    model: the target.
    dictionary: the features' dictionaries; None where they are known as
      directions alone, which are then as active as max(0, h . v).
    rows: N records of `features.SCHEMA`.
    vectors_NxD: their vectors.
    documents_MxT: i32, token rows.
    seed: of the documents drawn at random; what is drawn for a vector depends
      on its name besides.
  """
  count = len(documents_MxT)
  top = np.full((len(rows), min(_TOP, count)), -1, np.int64)
  groups = list(_groups(dictionary, rows, vectors_NxD))
  site = rows[0]['site'] if dictionary is None else dictionary.site
  lengths = np.full(count, documents_MxT.shape[1], np.int32)
  for layer, members, sae, index in groups:
    found = exemplars.find(
      model,
      sae,
      site,
      layer,
      index,
      documents_MxT,
      lengths,
      k=top.shape[1],
      batch=_BATCH,
    )
    top[members] = hosts.fetch(found.document)
  chosen = np.stack(
    [
      _with_others(own, count, features.name(row), seed)
      for own, row in zip(top, rows, strict=True)
    ]
  )

  activations = np.zeros((*chosen.shape, documents_MxT.shape[1]), np.float32)
  layers = tuple(sorted({layer for layer, *_ in groups}))
  start = 0
  for tokens, resid in activity.residuals(
    model, documents_MxT, site, layers, _BATCH
  ):
    for layer, members, sae, index in groups:
      fires = activity.encode(sae, resid[layers.index(layer)])[..., index]
      own = chosen[members] - start
      n, place = np.nonzero((0 <= own) & (own < len(tokens)))
      activations[members[n], place] = fires[own[n, place], :, n]
    start += len(tokens)
  activations[:, :, 0] = 0
  return Firing(chosen, activations)


def _groups(
  dictionary: dictionaries.Dictionaries | None,
  rows: Sequence[dict[str, Any]],
  vectors_NxD: np.ndarray,
) -> Iterator[
  tuple[int, np.ndarray, sparse_autoencoder.SparseAutoencoder, np.ndarray]
]:
  """Yields layer, records, a dictionary that has them, their index in it.

  Vectors that are no features make up a dictionary of their own.
  """
  layer_of = np.array([row['layer'] for row in rows])
  is_feature = np.array([row['place'] == features.FEATURE for row in rows])
  is_feature &= dictionary is not None
  for layer in np.unique(layer_of).tolist():
    own = np.flatnonzero((layer_of == layer) & is_feature)
    if dictionary is not None and len(own):
      index = np.array([rows[int(n)]['feature'] for n in own], np.int32)
      yield layer, own, *dictionary.choose(layer, index)
    others = np.flatnonzero((layer_of == layer) & ~is_feature)
    if len(others):
      index = np.arange(len(others), dtype=np.int32)
      yield layer, others, directions(vectors_NxD[others]), index


def _with_others(
  top: np.ndarray, count: int, name: str, seed: int
) -> np.ndarray:
  """Adds others at random: twice the number of `top`, or all there are.

  Where a vector is active in fewer documents, more are drawn.
  """
  top = top[top >= 0]
  rest = np.setdiff1d(np.arange(count), top)
  key = [seed, zlib.crc32(b'documents'), zlib.crc32(name.encode())]
  drawn = np.random.default_rng(key).permutation(rest)
  return np.concatenate([top, drawn])[: min(count, 2 * _TOP)]
