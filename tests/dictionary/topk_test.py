# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of sparse reconstruction against the dense one."""

import dataclasses

from absl.testing import absltest
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import topk

# Rows of three parts, which are not equal.
_ROWS, _WIDTH, _FEATURES, _K = 131, 6, 30, 6


def _arrays():
  random = np.random.default_rng(0)

  def normal(*shape):
    return jnp.asarray(random.normal(size=shape), jnp.float32)

  sae = sae_lib.SparseAutoencoder(
    encoder_DxS=normal(_WIDTH, _FEATURES),
    # So low that in some rows fewer than k fire.
    encoder_bias_S=normal(_FEATURES) - 4,
    decoder_SxD=normal(_FEATURES, _WIDTH),
    decoder_bias_D=normal(_WIDTH),
    threshold_S=jnp.zeros(_FEATURES),
    k=_K,
  )
  return sae, normal(_ROWS, _WIDTH)


class TopkTest(absltest.TestCase):
  def test_sparse_equals_dense(self):
    sae, x = _arrays()
    expected, found = topk.dense(sae, x), topk.sparse(sae, x)
    np.testing.assert_allclose(found.made_BxD, expected.made_BxD, atol=1e-5)
    np.testing.assert_array_equal(found.fired_S, expected.fired_S)
    self.assertEqual(float(found.l0), float(expected.l0))
    self.assertBetween(float(found.l0), 1, _K - 0.5)
    self.assertFalse(np.all(found.fired_S))

  def test_gradients_are_equal_in_all_arguments(self):
    sae, x = _arrays()

    def loss(way, sae, x):
      return jnp.sum((way(sae, x).made_BxD - x) ** 2 * jnp.arange(1, 7.0)[None])

    both = [
      jax.grad(loss, argnums=(1, 2))(way, sae, x)
      for way in (topk.dense, topk.sparse)
    ]
    for expected, found in zip(*map(jax.tree.leaves, both), strict=True):
      np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    self.assertGreater(np.abs(both[0][0].decoder_bias_D).max(), 1)

  def test_several_at_once(self):
    sae, x = _arrays()
    other = dataclasses.replace(sae, decoder_SxD=sae.decoder_SxD * 2)
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), sae, other)
    found = jax.jit(jax.vmap(topk.sparse))(stacked, jnp.stack([x, -x]))
    for index, (one, rows) in enumerate(((sae, x), (other, -x))):
      np.testing.assert_allclose(
        found.made_BxD[index], topk.dense(one, rows).made_BxD, atol=1e-5
      )


if __name__ == '__main__':
  absltest.main()
