# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Exemplars: the documents in which features fire most, in a single pass."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import progress
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import decoder


class Exemplars(NamedTuple):
  """For each of F features the k best documents so far, best first.

  Attributes:
    value: f32[F, k], the highest activation in the document; 0 where fewer than
      k documents have any above 0.
    document: i32[F, k], its index; -1 there.
  """

  value: jax.Array
  document: jax.Array


def start(features: int, k: int) -> Exemplars:
  """Returns the exemplars of no documents."""
  return Exemplars(
    jnp.zeros((features, k), jnp.float32),
    jnp.full((features, k), -1, jnp.int32),
  )


@jax.jit
def update(
  best: Exemplars,
  activation_BxTxF: jax.Array,
  seen_BxT: jax.Array,
  document_B: jax.Array,
) -> Exemplars:
  """Takes in a batch of documents; of equal values the earlier ones stay.

  Args:
    best: of the documents before.
    activation_BxTxF: feature activations, at least 0.
    seen_BxT: bool, positions that count.
    document_B: i32, indices of documents, none of which came before.
  """
  activation = jnp.where(seen_BxT[..., None], activation_BxTxF, 0.0)
  highest_FxB = jnp.max(activation, 1).T
  documents_FxB = jnp.broadcast_to(document_B[None], highest_FxB.shape)
  value, place = jax.lax.top_k(
    jnp.concatenate([best.value, highest_FxB], 1), best.value.shape[1]
  )
  document = jnp.concatenate([best.document, documents_FxB], 1)
  return Exemplars(value, jnp.take_along_axis(document, place, 1))


@functools.partial(jax.jit, static_argnames=('site',))
def _step(
  best: Exemplars,
  model: decoder.Decoder,
  sae: sae_lib.SparseAutoencoder,
  features_F: jax.Array,
  tokens_BxT: jax.Array,
  length_B: jax.Array,
  document_B: jax.Array,
  tap: capture.Capture,
  site: str,
) -> Exemplars:
  """Runs the target on a batch and takes in what fires."""
  _, kept = decoder.forward(model, tokens_BxT, tap=tap)
  activation = sae_lib.encode(sae, kept[site][0])[..., features_F]
  position = jnp.arange(tokens_BxT.shape[1], dtype=jnp.int32)[None]
  seen = (position > 0) & (position < length_B[:, None])
  return update(best, activation, seen, document_B)


def find(
  model: decoder.Decoder,
  sae: sae_lib.SparseAutoencoder,
  site: str,
  layer: int,
  features_F: np.ndarray,
  tokens_NxT: np.ndarray,
  length_N: np.ndarray,
  *,
  k: int,
  batch: int,
) -> Exemplars:
  """Finds the documents in which features fire most, BOS left aside.

  Args:
    model: the target.
    sae: its dictionary of this site and layer.
    site: a site with layers.
    layer: one of them.
    features_F: i32, which features.
    tokens_NxT: i32, documents, padded on the right; document n is row n.
    length_N: i32, tokens of each.
    k: documents kept for each feature.
    batch: documents at a time.
  """
  count, length = tokens_NxT.shape
  every = np.tile(np.arange(length, dtype=np.int32), (batch, 1))
  tap = capture.build(model.config, (site,), (layer,), every)
  best = start(len(features_F), k)
  starts = range(0, count, batch)
  for first in progress.track(starts, len(starts), 'batches of documents'):
    rows = np.arange(first, first + batch, dtype=np.int32)
    # Rows that fill up the last batch have no length, so that none fires.
    length_B = np.where(rows < count, length_N[rows % count], 0)
    best = _step(
      best,
      model,
      sae,
      jnp.asarray(features_F, jnp.int32),
      tokens_NxT[rows % count],
      length_B.astype(np.int32),
      rows,
      tap,
      site,
    )
  return best
