# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of sparse autoencoders against a slow one."""

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from tests.dictionary import fixtures


class SparseAutoencoderTest(parameterized.TestCase):
  @parameterized.parameters((None, 'jumprelu'), (1, 'topk'), (5, 'topk'))
  def test_agrees_with_the_slow_one(self, k, kind):
    sae = fixtures.random_sae(6, 20, k)
    self.assertEqual(sae.kind, kind)
    self.assertEqual(sae.features, 20)
    x = np.random.default_rng(1).normal(size=(3, 7, 6)).astype(np.float32)
    features = sae_lib.encode(sae, x)
    made = sae_lib.decode(sae, features)
    self.assertEqual(features.shape, (3, 7, 20))
    self.assertGreater(int(jnp.sum(features > 0)), 20)
    for place in np.ndindex(3, 7):
      slow = fixtures.slow_features(sae, x[place])
      np.testing.assert_allclose(features[place], slow, 0, 1e-5)
      slow = fixtures.slow_decode(sae, slow)
      np.testing.assert_allclose(made[place], slow, 0, 1e-4)

  def test_of_equal_values_the_first_are_kept(self):
    kept = sae_lib.keep_highest(jnp.array([[1.0, 2.0, 1.0, -1.0, 1.0]]), 3)
    np.testing.assert_array_equal(kept, [[1, 2, 1, 0, 0]])
    kept = sae_lib.keep_highest(jnp.array([[-1.0, 2.0, -3.0]]), 2)
    np.testing.assert_array_equal(kept, [[0, 2, 0]])

  def test_at_the_threshold_it_does_not_fire(self):
    one = jnp.ones(1)
    sae = sae_lib.SparseAutoencoder(
      one[None], 0 * one, one[None], 0 * one, 2 * one
    )
    found = sae_lib.encode(sae, jnp.array([[2.0], [2.5], [-9.0]]))
    np.testing.assert_array_equal(found, [[0], [2.5], [0]])

  def test_narrow_types_are_encoded_in_float32(self):
    sae = fixtures.random_sae(6, 20)
    x = jnp.ones((4, 6), jnp.bfloat16) * 0.3
    self.assertEqual(sae_lib.encode(sae, x).dtype, jnp.float32)
    np.testing.assert_array_equal(
      sae_lib.encode(sae, x), sae_lib.encode(sae, x.astype(jnp.float32))
    )


if __name__ == '__main__':
  absltest.main()
