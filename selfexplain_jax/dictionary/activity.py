# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What directions and features do on documents, batch by batch."""

from collections.abc import Callable, Iterator
import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import progress
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import launches
from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import decoder


def residuals(
  model: decoder.Decoder,
  documents_NxT: np.ndarray,
  site: str,
  layers: tuple[int, ...],
  batch: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields documents with their activations at a site.

  Args:
    model: the target.
    documents_NxT: i32, rows of tokens.
    site: a site with layers.
    layers: which of them, L.
    batch: documents read at once; the last batch is filled up, so that one
      program serves all.

  Yields:
    i32[B, T] and f32[L, B, T, D], for the documents in order.
  """
  count, length = documents_NxT.shape
  positions = np.tile(np.arange(length), (batch, 1))
  wanted = capture.build(model.config, (site,), layers, positions)
  chosen_by_batch = [
    documents_NxT[start : start + batch] for start in range(0, count, batch)
  ]

  def calls() -> Iterator[Callable[[], jax.Array]]:
    for chosen in chosen_by_batch:
      preemption.check()
      tokens = np.resize(chosen, (batch, length))
      yield functools.partial(_read, model, tokens, wanted, site)

  every = progress.track(
    launches.fetched(calls()), len(chosen_by_batch), 'batches of documents'
  )
  for chosen, found in zip(chosen_by_batch, every, strict=True):
    yield chosen, found[:, : len(chosen)]


@functools.partial(jax.jit, static_argnames='site')
def _read(model, tokens_BxT, wanted, site):
  _, kept = decoder.forward(model, tokens_BxT, tap=wanted)
  return kept[site].astype(jnp.float32)


_encode = jax.jit(sparse_autoencoder.encode)


def encode(
  sae: sparse_autoencoder.SparseAutoencoder, resid: np.ndarray
) -> np.ndarray:
  """Returns the activations of all features, f32[..., S]."""
  return hosts.fetch(_encode(sae, resid))
