# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A small dictionary with random weights, and the slow one it is held to."""

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib


def random_sae(
  width: int, features: int, k: int | None = None, seed: int = 0
) -> sae_lib.SparseAutoencoder:
  random = np.random.default_rng(seed)

  def draw(*shape: int) -> jax.Array:
    return jnp.asarray(random.normal(size=shape), jnp.float32)

  return sae_lib.SparseAutoencoder(
    encoder_DxS=draw(width, features),
    encoder_bias_S=draw(features),
    decoder_SxD=draw(features, width),
    decoder_bias_D=draw(width),
    threshold_S=jnp.abs(draw(features)) if k is None else jnp.zeros(features),
    k=k,
  )


def _wide(x: jax.Array) -> np.ndarray:
  return np.asarray(x, np.float64)


def slow_features(sae: sae_lib.SparseAutoencoder, x_D: np.ndarray):
  """One row in float64, one feature after the other."""
  encoder, bias = _wide(sae.encoder_DxS), _wide(sae.encoder_bias_S)
  inside = x_D - _wide(sae.decoder_bias_D)
  values = [inside @ encoder[:, s] + bias[s] for s in range(len(bias))]
  best = sorted(range(len(values)), key=lambda s: (-values[s], s))[: sae.k]
  out = np.zeros(len(values))
  for s, value in enumerate(values):
    if sae.k is None and value > max(0, float(sae.threshold_S[s])):
      out[s] = value
    if sae.k is not None and s in best and value > 0:
      out[s] = value
  return out


def slow_decode(sae: sae_lib.SparseAutoencoder, features_S: np.ndarray):
  decoder = _wide(sae.decoder_SxD)
  out = _wide(sae.decoder_bias_D)
  for s, value in enumerate(features_S):
    out = out + value * decoder[s]
  return out
