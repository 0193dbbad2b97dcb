# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of reading an activation store, whole and damaged."""

import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from tests.activations import fixtures


class ReaderTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.directory = pathlib.Path(self.create_tempdir().full_path) / 'store'

  @parameterized.parameters('float32', 'bfloat16')
  def test_round_trip(self, dtype):
    spec = fixtures.with_dtype(dtype)
    arrays = fixtures.write(self.directory, spec)
    store = reader.open_store(self.directory)
    self.assertEqual(store.rows, fixtures.ROWS)
    self.assertEqual(store.manifest.spec, spec)
    for name, expected in arrays.items():
      for start, stop in ((0, 11), (3, 9), (4, 8), (10, 11), (8, 8), (11, 11)):
        found = store.read(name, start, stop)
        self.assertEqual(found.dtype, expected.dtype)
        self.assertEqual(found.shape, expected[start:stop].shape)
        np.testing.assert_array_equal(found, expected[start:stop])

  def test_zeros_are_stored_and_are_not_missing(self):
    arrays = {
      name: np.zeros_like(values) for name, values in fixtures.rows_of().items()
    }
    with mock.patch.object(fixtures, 'rows_of', return_value=arrays):
      fixtures.write(self.directory)
    store = reader.open_store(self.directory)
    np.testing.assert_array_equal(
      store.read('resid_post', 0, 11), arrays['resid_post']
    )

  def test_read_refuses_what_is_not_there(self):
    fixtures.write(self.directory)
    store = reader.open_store(self.directory)
    with self.assertRaisesRegex(errors.InputError, 'no array mlp_out'):
      store.read('mlp_out', 0, 1)
    for start, stop in ((-1, 2), (3, 2), (0, 12)):
      with self.assertRaisesRegex(errors.InputError, 'within 0 to 11'):
        store.read('embed', start, stop)

  def test_a_flip_of_any_byte_of_a_shard_is_refused_by_name(self):
    fixtures.write(self.directory)
    file = self.directory / 'embed/c/1/0'
    for offset in range(file.stat().st_size):
      fixtures.flip(file, offset)
      with self.assertRaisesRegex(
        errors.InputError, 'shard 1 fails its checksum: embed/c/1/0'
      ):
        reader.open_store(self.directory)
      fixtures.flip(file, offset)
    reader.open_store(self.directory)

  def test_a_missing_shard_is_refused_by_name(self):
    fixtures.write(self.directory)
    (self.directory / 'resid_post/c/2/0/0').unlink()
    with self.assertRaisesRegex(
      errors.InputError, 'shard 2 is missing: .*resid_post/c/2/0/0'
    ):
      reader.open_store(self.directory)

  @parameterized.parameters('flipped', 'removed')
  def test_unverified_damage_is_refused_when_read(self, damage):
    fixtures.write(self.directory)
    file = self.directory / 'resid_post/c/1/0/0'
    if damage == 'flipped':
      fixtures.flip(file, 0)
    else:
      file.unlink()
    store = reader.open_store(self.directory, verify=False)
    store.read('resid_post', 0, 4)
    with self.assertRaisesRegex(errors.InputError, 'shard 1 of resid_post'):
      store.read('resid_post', 0, 11)

  def test_a_store_without_a_manifest_is_refused(self):
    fixtures.write(self.directory)
    (self.directory / 'manifest.json').unlink()
    with self.assertRaisesRegex(errors.InputError, 'manifest of a complete'):
      reader.open_store(self.directory)

  def test_array_metadata_unlike_the_manifest_is_refused(self):
    fixtures.write(self.directory)
    file = self.directory / 'embed/zarr.json'
    file.write_text(file.read_text().replace('[11,3]', '[10,3]'))
    with self.assertRaisesRegex(errors.InputError, 'embed cannot be opened'):
      reader.open_store(self.directory)


if __name__ == '__main__':
  absltest.main()
