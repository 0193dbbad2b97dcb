# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the vectors of an explanation set."""

import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.activations import vectors
from tests.activations import fixtures


def _vectors(rows, width=5):
  values = np.random.default_rng(rows).standard_normal((rows, width))
  return values.astype(np.float32)


class VectorsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    root = pathlib.Path(self.create_tempdir().full_path)
    self.directory = root / 'vectors'

  @parameterized.parameters(0, 1, 255, 256, 257, 600)
  def test_round_trip(self, rows):
    expected = _vectors(rows)
    vectors.write_vectors(self.directory, expected)
    found = vectors.read_vectors(self.directory)
    self.assertEqual(found.dtype, np.float32)
    self.assertEqual(found.shape, (rows, 5))
    np.testing.assert_array_equal(found, expected)

  def test_round_trip_over_several_shards(self):
    with mock.patch.object(vectors, '_SHARD_ROWS', 256):
      vectors.write_vectors(self.directory, _vectors(600))
    self.assertLen(list((self.directory / 'c').iterdir()), 3)
    np.testing.assert_array_equal(
      vectors.read_vectors(self.directory), _vectors(600)
    )

  def test_many_parts(self):
    expected = _vectors(600)
    vectors.write_vectors(self.directory, expected)
    written = fixtures.tree(self.directory)
    with mock.patch.object(vectors, '_PART_BYTES', 1):  # 256 rows, and the end.
      np.testing.assert_array_equal(
        vectors.read_vectors(self.directory), expected
      )
      vectors.write_vectors(self.directory, expected)
      self.assertEqual(fixtures.tree(self.directory), written)

  def test_what_is_read_cannot_be_changed(self):
    vectors.write_vectors(self.directory, _vectors(3))
    with self.assertRaisesRegex(ValueError, 'read-only'):
      vectors.read_vectors(self.directory)[0] = 1

  def test_where_there_is_no_room_for_a_copy(self):
    vectors.write_vectors(self.directory, _vectors(3))
    usage = mock.Mock(free=59)  # They take 60 bytes.
    with (
      mock.patch.object(vectors.shutil, 'disk_usage', return_value=usage),
      self.assertRaisesRegex(errors.InputError, 'expected room for a copy'),
    ):
      vectors.read_vectors(self.directory)

  def test_zeros_and_other_layouts_of_memory(self):
    for expected in (np.zeros((3, 4), np.float32), _vectors(4, 3).T):
      vectors.write_vectors(self.directory, expected)
      np.testing.assert_array_equal(
        vectors.read_vectors(self.directory), expected
      )

  def test_writing_replaces_and_equal_vectors_give_equal_bytes(self):
    other = self.directory.with_name('other')
    vectors.write_vectors(self.directory, _vectors(600))
    vectors.write_vectors(self.directory, _vectors(7))
    vectors.write_vectors(other, _vectors(7))
    self.assertEqual(fixtures.tree(self.directory), fixtures.tree(other))

  def test_a_folder_with_other_files_is_left_alone(self):
    self.directory.mkdir()
    (self.directory / 'manifest.json').write_text('{}')
    with self.assertRaisesRegex(errors.InputError, 'holds manifest.json'):
      vectors.write_vectors(self.directory, _vectors(2))
    self.assertEqual(fixtures.tree(self.directory), {'manifest.json': b'{}'})

  @parameterized.parameters(0, 19, 20, 300, -1)
  def test_a_flipped_byte_is_refused(self, offset):
    vectors.write_vectors(self.directory, _vectors(3))
    fixtures.flip(self.directory / 'c/0/0', offset)
    with self.assertRaisesRegex(errors.InputError, 'cannot be read'):
      vectors.read_vectors(self.directory)

  @parameterized.parameters(('[3,5]', '[2,5]'), ('[3,5]', '[4,5]'))
  def test_a_changed_shape_is_refused(self, old, new):
    vectors.write_vectors(self.directory, _vectors(3))
    file = self.directory / 'zarr.json'
    text = file.read_text()
    self.assertIn(old, text)
    file.write_text(text.replace(old, new))
    with self.assertRaisesRegex(errors.InputError, 'fail their checksum'):
      vectors.read_vectors(self.directory)

  @parameterized.parameters('c/0/0', 'zarr.json')
  def test_a_missing_object_is_refused(self, name):
    vectors.write_vectors(self.directory, _vectors(3))
    (self.directory / name).unlink()
    with self.assertRaisesRegex(errors.InputError, str(self.directory)):
      vectors.read_vectors(self.directory)

  @parameterized.parameters(
    (np.zeros((2, 3)),),
    (np.zeros(3, np.float32),),
    (np.zeros((2, 0), np.float32),),
  )
  def test_another_type_or_shape_is_refused(self, values):
    with self.assertRaisesRegex(errors.InputError, r'expected float32 \[R, D'):
      vectors.write_vectors(self.directory, values)


if __name__ == '__main__':
  absltest.main()
