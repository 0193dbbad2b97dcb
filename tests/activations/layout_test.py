# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the layout of an activation store."""

import dataclasses
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorstore as ts

from selfexplain_jax import errors
from selfexplain_jax.activations import layout
from tests.activations import fixtures


class StoreSpecTest(parameterized.TestCase):
  @parameterized.parameters(
    ('weight_hash', None),
    ('sites', ()),
    ('sites', ('embed', 'embed')),
    ('sites', ('resid_post', 'token_id')),
    ('sites', ('resid_post', '../up')),
    ('layers', (2, 0)),
    ('layers', (0, 0)),
    ('layers', ()),
    ('width', 0),
    ('width', True),
    ('dtype', 'float16'),
    ('dtype', ['float32']),
    ('rows_per_shard', 0),
    ('layered', ('mlp_out',)),
  )
  def test_refuses_a_bad_field_and_names_it(self, field, value):
    with self.assertRaisesRegex(errors.InputError, f': {field} is '):
      dataclasses.replace(fixtures.SPEC, **{field: value})

  def test_shapes_and_objects_of_a_shard(self):
    spec = fixtures.SPEC
    self.assertEqual(
      [spec.item_shape(name) for name in spec.arrays],
      [(), (), (), (3,), (2, 3)],
    )
    self.assertEqual(spec.shards(11), 3)
    self.assertEqual(spec.shard_range(2, 11), (8, 11))
    self.assertEqual(
      spec.shard_files(2),
      (
        'token_id/c/2',
        'document/c/2',
        'position/c/2',
        'embed/c/2/0',
        'resid_post/c/2/0/0',
      ),
    )

  @parameterized.parameters((4, 4), (256, 256), (4096, 256), (1000, 250))
  def test_chunk_rows_divide_a_shard(self, rows_per_shard, expected):
    spec = dataclasses.replace(fixtures.SPEC, rows_per_shard=rows_per_shard)
    self.assertEqual(spec.chunk_rows, expected)

  @parameterized.parameters(
    ((600,), [512], [256]),
    ((600, 8), [512, 8], [256, 8]),
    ((600, 3, 8), [512, 3, 8], [256, 1, 8]),
  )
  def test_a_shard_holds_all_layers_and_a_chunk_one(self, shape, shard, chunk):
    array = layout.open_array(
      self.create_tempdir().full_path,
      layout.array_metadata(shape, np.dtype(np.float32), 512, 256),
      ts.Context(),
      ts.OpenMode(create=True),
    )
    self.assertEqual(list(array.chunk_layout.write_chunk.shape), shard)
    self.assertEqual(list(array.chunk_layout.read_chunk.shape), chunk)

  def test_kvstore_takes_local_and_bucket_names(self):
    # As where there is what reads such names.
    with mock.patch.object(layout.files.importlib.util, 'find_spec'):
      found = layout.kvstore_spec('gs://bucket/a/b')
    self.assertEqual(found, 'gs://bucket/a/b/')
    self.assertEqual(
      layout.kvstore_spec('/a/b'), {'driver': 'file', 'path': '/a/b/'}
    )


if __name__ == '__main__':
  absltest.main()
