# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of dictionaries that stay in their files."""

import dataclasses
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import llama_scope
from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from tests.dictionary import fixtures
from tests.dictionary import published

X = np.random.default_rng(3).normal(size=(9, 6)).astype(np.float32)
_WRITERS = (
  published.llama_scope,
  published.gemma_scope,
  published.saelens_v6,
)


class StoredTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  @parameterized.parameters(*_WRITERS)
  def test_chosen_features_are_those_of_the_whole(self, write):
    stored = releases.open_directory(write(self.root))
    index = np.array([7, 0, 19, 7])
    whole = stored.load()
    some = stored.choose(index)
    np.testing.assert_allclose(
      sae_lib.encode(some, X), sae_lib.encode(whole, X)[:, index], 1e-5, 1e-6
    )
    np.testing.assert_array_equal(
      stored.directions(index), np.asarray(whole.decoder_SxD)[index]
    )
    # All of them, in another order.
    order = np.random.default_rng(0).permutation(stored.features)
    np.testing.assert_array_equal(
      stored.directions(order), np.asarray(whole.decoder_SxD)[order]
    )
    for wrong in (-1, stored.features):
      with self.assertRaisesRegex(errors.InputError, f'no feature {wrong}: '):
        stored.directions(np.array([0, wrong]))

  @parameterized.parameters(*_WRITERS)
  def test_only_what_is_asked_for_is_read(self, write):
    stored = releases.open_directory(write(self.root))
    read = []
    real = stored_lib.Stored.finite

    def finite(self, name, value):
      read.append((name, value.size))
      return real(self, name, value)

    with mock.patch.object(stored_lib.Stored, 'finite', finite):
      stored.directions(np.array([3, 4]))
    self.assertEqual({name for name, _ in read}, {'decoder_SxD'})
    self.assertLessEqual(sum(size for _, size in read), 2 * 2 * 6)

  def test_small_parts_are_the_same(self):
    stored = releases.open_directory(published.llama_scope(self.root))
    whole = stored.load()
    with mock.patch.object(stored_lib, '_CHUNK', 13):
      parts = stored.load()
      stored.check()
      digest = stored.digest()
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(parts)):
      np.testing.assert_allclose(one, other, 1e-6, 1e-6)
    self.assertEqual(stored.digest(), digest)

  def test_is_sharded_over_the_mesh_that_is_set(self):
    stored = releases.open_directory(published.saelens_v6(self.root))
    plain = stored.load()
    mesh = mesh_lib.make_mesh()
    with jax.set_mesh(mesh):
      sharded = stored.load()
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(sharded)):
      self.assertIsInstance(other.sharding, jax.sharding.NamedSharding)
      np.testing.assert_array_equal(one, other)

  def test_features_that_compete_are_not_chosen(self):
    sae = fixtures.random_sae(6, 20, 3)
    saelens.save(sae, self.root / 'one', {})
    stored = saelens.open_directory(self.root / 'one')
    with self.assertRaisesRegex(errors.InputError, 'is of kind topk: expected'):
      stored.choose(np.array([0]))
    np.testing.assert_array_equal(
      stored.directions(np.array([4])), np.asarray(sae.decoder_SxD)[[4]]
    )

  def test_what_has_no_direction_never_fires(self):
    folder = published.llama_scope(self.root)
    tensors = published.read_tensors(folder / published.LLAMA_WEIGHTS)
    tensors['decoder.weight'][:, 2] = 0
    tensors['encoder.bias'][2] = 100
    published.write_tensors(folder / published.LLAMA_WEIGHTS, tensors)
    sae = llama_scope.open_directory(folder).load()
    found = np.asarray(sae_lib.encode(sae, X))
    self.assertFalse(found[:, 2].any())
    self.assertTrue(found.any())

  @parameterized.parameters(
    'encoder.weight', 'encoder.bias', 'decoder.weight', 'decoder.bias'
  )
  def test_weights_have_to_be_finite(self, tensor):
    folder = published.llama_scope(self.root)
    tensors = published.read_tensors(folder / published.LLAMA_WEIGHTS)
    tensors[tensor].reshape(-1)[-1] = np.nan
    published.write_tensors(folder / published.LLAMA_WEIGHTS, tensors)
    stored = llama_scope.open_directory(folder)
    for act in (stored.check, stored.load):
      with self.assertRaisesRegex(errors.InputError, 'that are not finite'):
        act()

  def test_every_file_counts_in_the_digest(self):
    folder = published.llama_scope(self.root)
    stored = llama_scope.open_directory(folder)
    seen = {stored.digest()}
    name = folder / 'hyperparams.json'
    name.write_text(name.read_text() + ' ')
    seen.add(stored.digest())
    tensors = published.read_tensors(folder / published.LLAMA_WEIGHTS)
    tensors['encoder.bias'][0] += 1
    published.write_tensors(folder / published.LLAMA_WEIGHTS, tensors)
    seen.add(stored.digest())
    self.assertLen(seen, 3)

  @parameterized.parameters(None, 3)
  def test_held_in_memory(self, k):
    sae = fixtures.random_sae(6, 20, k)
    found = stored_lib.held(sae).load()
    for field in dataclasses.fields(stored_lib.Tensors):
      np.testing.assert_array_equal(
        getattr(found, field.name), getattr(sae, field.name)
      )
    self.assertEqual(found.k, k)


if __name__ == '__main__':
  absltest.main()
