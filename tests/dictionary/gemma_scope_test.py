# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that dictionaries of Gemma Scope do what their authors say."""

import pathlib

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import gemma_scope
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from tests.dictionary import published

X = np.random.default_rng(3).normal(size=(20, 6)).astype(np.float32)


class GemmaScopeTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.folder = published.gemma_scope(self.root, 20)

  def arrays(self):
    with np.load(self.folder / 'params.npz') as content:
      return dict(content)

  def test_does_what_is_published(self):
    t = {name: np.float64(value) for name, value in self.arrays().items()}
    values = X @ t['W_enc'] + t['b_enc']
    features = np.maximum(values, 0) * (values > t['threshold'])
    self.assertBetween((features > 0).mean(), 0.1, 0.9)
    stored = gemma_scope.open_directory(self.folder)
    sae = stored.load()
    found = sae_lib.encode(sae, X)
    np.testing.assert_allclose(found, features, 1e-4, 1e-4)
    np.testing.assert_allclose(
      sae_lib.decode(sae, found), features @ t['W_dec'] + t['b_dec'], 1e-3, 0.1
    )
    self.assertEqual(stored.model, 'gemma-2-2b')
    self.assertEqual(stored.hook, 'blocks.20.hook_resid_post')

  def test_compressed_files_read_the_same(self):
    index = np.array([3, 1])
    plain = gemma_scope.open_directory(self.folder).directions(index)
    np.savez_compressed(self.folder / 'params.npz', **self.arrays())
    found = gemma_scope.open_directory(self.folder).directions(index)
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_array_equal(found, self.arrays()['W_dec'][index])

  def test_number_of_features_is_checked_with_the_name(self):
    other = self.folder.parents[1] / 'width_16k' / 'average_l0_71'
    other.mkdir(parents=True)
    np.savez(other / 'params.npz', **self.arrays())
    with self.assertRaisesRegex(
      errors.InputError, '1024 features: expected width_16k, as the folder'
    ):
      gemma_scope.open_directory(other)

  def test_pickles_are_refused(self):
    arrays = {**self.arrays(), 'b_dec': np.array([{}], dtype=object)}
    np.savez(self.folder / 'params.npz', **arrays)
    with self.assertRaisesRegex(errors.InputError, 'b_dec.npy has type object'):
      gemma_scope.open_directory(self.folder)


if __name__ == '__main__':
  absltest.main()
