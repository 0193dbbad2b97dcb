# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of writing, and going on with, an activation store."""

import dataclasses
import json
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import reader
from selfexplain_jax.activations import writer
from tests.activations import fixtures


class WriterTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.directory = pathlib.Path(self.create_tempdir().full_path) / 'store'
    self.arrays = fixtures.rows_of()

  def shard(self, index):
    return fixtures.shard_of(self.arrays, fixtures.SPEC, index)

  def open(self):
    return writer.StoreWriter(self.directory, fixtures.SPEC, fixtures.ROWS)

  def test_equal_inputs_give_equal_bytes_in_any_order_of_shards(self):
    other = self.directory.with_name('other')
    fixtures.write(self.directory, order=(0, 1, 2))
    fixtures.write(other, order=(2, 1, 0))
    self.assertEqual(fixtures.tree(self.directory), fixtures.tree(other))

  def test_each_shard_is_one_object_an_array(self):
    fixtures.write(self.directory)
    found = {name for name in fixtures.tree(self.directory) if '/c/' in name}
    expected = {name for i in range(3) for name in fixtures.SPEC.shard_files(i)}
    self.assertEqual(found, expected)

  def test_a_shard_killed_before_its_record_is_written_again(self):
    store = self.open()
    store.write_shard(0, self.shard(0))
    with mock.patch.object(files, 'write_json', side_effect=KeyboardInterrupt):
      with self.assertRaises(KeyboardInterrupt):
        store.write_shard(1, self.shard(1))
    self.assertTrue((self.directory / 'resid_post/c/1/0/0').exists())

    resumed = self.open()
    self.assertEqual(resumed.completed_shards(), {0})
    with self.assertRaisesRegex(errors.InputError, 'missing shards 1, 2 of 3'):
      resumed.finish()
    with self.assertRaisesRegex(errors.InputError, 'manifest.*not found'):
      reader.open_store(self.directory)

    for index in {0, 1, 2} - resumed.completed_shards():
      resumed.write_shard(index, self.shard(index))
    resumed.finish()
    other = self.directory.with_name('other')
    fixtures.write(other)
    self.assertEqual(fixtures.tree(self.directory), fixtures.tree(other))

  @parameterized.parameters('flipped', 'removed', 'cut', 'bad_record')
  def test_a_damaged_shard_is_not_complete(self, damage):
    fixtures.write(self.directory)
    file = self.directory / 'embed/c/1/0'
    record = self.directory / 'shards/00001.json'
    if damage == 'flipped':
      fixtures.flip(file, 5)
    elif damage == 'removed':
      file.unlink()
    elif damage == 'cut':
      file.write_bytes(file.read_bytes()[:-1])
    else:
      record.write_text(record.read_text()[:-9])
    store = self.open()
    self.assertEqual(store.completed_shards(), {0, 2})
    store.write_shard(1, self.shard(1))
    store.finish()
    self.assertEqual(reader.open_store(self.directory).rows, fixtures.ROWS)

  @parameterized.parameters(
    ('weight_hash', 'cc'),
    ('tokenizer_hash', 'cc'),
    ('layers', (0, 1)),
    ('dtype', 'bfloat16'),
    ('width', 4),
    ('rows_per_shard', 2),
  )
  def test_going_on_with_another_spec_is_refused(self, field, value):
    self.open()
    spec = dataclasses.replace(fixtures.SPEC, **{field: value})
    with self.assertRaisesRegex(errors.InputError, f'its {field} is '):
      writer.StoreWriter(self.directory, spec, fixtures.ROWS)

  def test_going_on_with_another_number_of_rows_is_refused(self):
    self.open()
    with self.assertRaisesRegex(errors.InputError, 'its rows is 11'):
      writer.StoreWriter(self.directory, fixtures.SPEC, 12)

  def test_two_writers_share_a_store(self):
    first, second = self.open(), self.open()
    second.write_shard(1, self.shard(1))
    first.write_shard(0, self.shard(0))
    first.write_shard(2, self.shard(2))
    second.finish()
    store = reader.open_store(self.directory)
    np.testing.assert_array_equal(
      store.read('embed', 0, fixtures.ROWS), self.arrays['embed']
    )

  def test_statistics_are_those_of_all_rows(self):
    fixtures.write(self.directory)
    found = json.loads((self.directory / 'manifest.json').read_text())[
      'statistics'
    ]
    resid_RxLxD = self.arrays['resid_post'].astype(np.float64)
    np.testing.assert_allclose(
      found['resid_post']['mean'], resid_RxLxD.mean((0, 2)), rtol=1e-12
    )
    np.testing.assert_allclose(
      found['resid_post']['rms'],
      np.sqrt((resid_RxLxD**2).mean((0, 2))),
      rtol=1e-12,
    )
    self.assertLen(found['embed']['mean'], 1)
    np.testing.assert_allclose(
      found['embed']['mean'][0],
      self.arrays['embed'].mean(dtype=np.float64),
      rtol=1e-12,
    )

  @parameterized.named_parameters(
    ('missing', lambda a: a.pop('embed'), 'expected.*embed'),
    ('unknown', lambda a: a.update(logits=a['embed']), 'has arrays.*logits'),
    (
      'type',
      lambda a: a.update(token_id=a['token_id'].astype(np.int64)),
      r'token_id is int64\[4\], expected int32\[4\]',
    ),
    (
      'rows',
      lambda a: a.update(embed=a['embed'][:3]),
      r'embed is float32\[3, 3\], expected float32\[4, 3\]',
    ),
    (
      'nan',
      lambda a: a.update(embed=a['embed'] * np.float32(np.nan)),
      'embed has values that are not finite',
    ),
  )
  def test_bad_arrays_are_refused_and_named(self, change, message):
    arrays = self.shard(0)
    change(arrays)
    store = self.open()
    with self.assertRaisesRegex(errors.InputError, message):
      store.write_shard(0, arrays)
    self.assertEqual(store.completed_shards(), set())

  @parameterized.parameters(-1, 3)
  def test_a_shard_outside_the_store_is_refused(self, index):
    with self.assertRaisesRegex(errors.InputError, 'expected 0 to 2'):
      self.open().write_shard(index, self.shard(0))


if __name__ == '__main__':
  absltest.main()
