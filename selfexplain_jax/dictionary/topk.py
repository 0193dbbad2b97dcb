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

# Parts of a batch, at most, of which features are chosen on several threads:
# XLA spreads operations on CPU over them where more than 8 are ready. Of fewer
# rows than these a product takes longer to begin than it saves.
_PARTS, _ROWS = 16, 64

# Features of a row that one turn of a loop adds: their gathers do not wait for
# each other, while sums into the same array do.
_UNROLL = 4


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


def dense(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Reconstruction:
  """Encodes and decodes by products with all features.

  Args:
    sae: a dictionary of kind 'topk', not stacked.
    x_BxD: f32[B, D], rows.
  """
  assert sae.k is not None
  values = sae_lib.keep_highest(sae_lib.encoded(sae, x_BxD), sae.k)
  fires = values > 0
  return Reconstruction(
    sae_lib.decode(sae, values),
    jnp.any(fires, 0),
    jnp.mean(jnp.sum(fires, 1, dtype=jnp.float32)),
  )


def sparse(sae: sae_lib.SparseAutoencoder, x_BxD: jax.Array) -> Reconstruction:
  """As `dense`, by the rows of features that fire; encoding is dense."""
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
  # A `top_k` is one thread's work, and several are done at once.
  count = min(_PARTS, -(-len(x_BxD) // _ROWS))
  parts = [
    jax.lax.top_k(sae_lib.encoded(sae, part), sae.k)
    for part in jnp.array_split(x_BxD, count)
  ]
  highest, index = map(jnp.concatenate, zip(*parts, strict=True))
  active = jnp.maximum(highest, 0.0)
  made = _mixed(active, sae.decoder_SxD, index) + sae.decoder_bias_D[None]
  return (made, active, index), (sae, x_BxD, active, index)


def _backward(kept: Any, tangents: Any) -> Any:
  """Gradients of all but the threshold, which does not matter."""
  sae, x, active, index = kept
  made = tangents[0]
  centred = x - sae.decoder_bias_D[None]
  # Sums over an axis of a fusion are slow on CPU, and products are not.
  ones = jnp.ones((x.shape[1], 1), x.dtype)

  def step(k: jax.Array, sums: Any) -> Any:
    into, by_bias, by_encoder, by_decoder = sums
    feature, activation = index[:, k], active[:, k]
    along = ((made * sae.decoder_SxD[feature]) @ ones)[:, 0]
    along = jnp.where(activation > 0, along, 0.0)
    return (
      into.at[:, k].set(along),
      by_bias.at[feature].add(along),
      by_encoder.at[feature].add(along[:, None] * centred),
      by_decoder.at[feature].add(activation[:, None] * made),
    )

  none = jnp.zeros_like(sae.decoder_SxD)
  bias = jnp.zeros_like(sae.encoder_bias_S)
  sums = jnp.zeros_like(active), bias, none, none
  into, by_bias, by_encoder, by_decoder = jax.lax.fori_loop(
    0, index.shape[1], step, sums, unroll=_UNROLL
  )
  return sae_lib.SparseAutoencoder(
    encoder_DxS=by_encoder.T,
    encoder_bias_S=by_bias,
    decoder_SxD=by_decoder,
    decoder_bias_D=jnp.sum(made, 0) - sae.encoder_DxS @ by_bias,
    threshold_S=jnp.zeros_like(sae.threshold_S),
    k=sae.k,
  ), _mixed(into, sae.encoder_DxS.T, index)


def _mixed(
  weight_Bxk: jax.Array, rows_SxD: jax.Array, index_Bxk: jax.Array
) -> jax.Array:
  """Sums of k rows, each with a weight.

  One of the k at a time: what is taken for it stays near the processor, where
  all that is taken, [B, k, D], would be written to memory and read again.
  """

  def step(k: jax.Array, mixed: jax.Array) -> jax.Array:
    return mixed + weight_Bxk[:, k, None] * rows_SxD[index_Bxk[:, k]]

  zero = jnp.zeros((len(weight_Bxk), rows_SxD.shape[1]), rows_SxD.dtype)
  return jax.lax.fori_loop(0, index_Bxk.shape[1], step, zero, unroll=_UNROLL)


_made.defvjp(_forward, _backward)
