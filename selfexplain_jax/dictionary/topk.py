# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reconstruction by the k highest features, densely or by these k alone.

Of S features k fire for a row. A product with all of them, most of which are 0,
suits the matrix units of a TPU; a CPU is faster with the k rows of the decoder,
and, for gradients, of the encoder. Both give the same numbers but for the order
of sums.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib


class Reconstruction(NamedTuple):
  """What a dictionary makes of a batch.

  Attributes:
    made_BxD: f32[B, D].
    fired_S: bool[S], for any row.
    l0: f32[], features that fire for a row, on average.
  """

  made_BxD: jax.Array
  fired_S: jax.Array
  l0: jax.Array


def reconstruct(
  sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array
) -> Reconstruction:
  """Encodes and decodes with a dictionary of kind 'topk', on one device.

  Args:
    sae: the dictionary, not stacked.
    x_BxD: f32[B, D], rows.
  """
  return jax.lax.platform_dependent(sae, x_BxD, cpu=sparse, default=dense)


def dense(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Reconstruction:
  """As `reconstruct`, by products with all features."""
  assert sae.k is not None
  values = sae_lib.keep_highest(sae_lib.encoded(sae, x_BxD), sae.k)
  fires = values > 0
  return Reconstruction(
    sae_lib.decode(sae, values),
    jnp.any(fires, 0),
    jnp.mean(jnp.sum(fires, 1, dtype=jnp.float32)),
  )


def sparse(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Reconstruction:
  """As `reconstruct`, by the rows of features that fire; encoding is dense."""
  made, active, index = _made(sae, x_BxD)
  fires = jax.lax.stop_gradient(active) > 0
  none = jnp.zeros(sae.features, bool)
  return Reconstruction(
    made,
    none.at[index].max(fires),
    jnp.mean(jnp.sum(fires, 1, dtype=jnp.float32)),
  )


@jax.custom_vjp
def _made(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Any:
  """The reconstruction, and of which features, [B, k], it is made."""
  return _forward(sae, x_BxD)[0]


def _forward(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Any:
  assert sae.k is not None
  highest, index = jax.lax.top_k(sae_lib.encoded(sae, x_BxD), sae.k)
  active = jnp.maximum(highest, 0.0)
  made = jnp.einsum('bk,bkd->bd', active, sae.decoder_SxD[index])
  made = made + sae.decoder_bias_D[None]
  return (made, active, index), (sae, x_BxD, active, index)


def _backward(kept: Any, tangents: Any) -> Any:
  """Gradients of all but the threshold, which does not matter."""
  sae, x, active, index = kept
  made = tangents[0]
  into = jnp.einsum('bd,bkd->bk', made, sae.decoder_SxD[index])
  into = jnp.where(active > 0, into, 0.0)
  none = jnp.zeros_like(sae.decoder_SxD)
  centred = x - sae.decoder_bias_D[None]
  by_bias = jnp.zeros_like(sae.encoder_bias_S).at[index].add(into)
  by_encoder = none.at[index].add(into[..., None] * centred[:, None])
  return sae_lib.SparseAutoencoder(
    encoder_DxS=by_encoder.T,
    encoder_bias_S=by_bias,
    decoder_SxD=none.at[index].add(active[..., None] * made[:, None]),
    decoder_bias_D=jnp.sum(made, 0) - sae.encoder_DxS @ by_bias,
    threshold_S=jnp.zeros_like(sae.threshold_S),
    k=sae.k,
  ), jnp.einsum('bk,bkd->bd', into, sae.encoder_DxS.T[index])


_made.defvjp(_forward, _backward)
