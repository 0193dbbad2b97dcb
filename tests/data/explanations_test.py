# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of explanation sets on disk."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from tests.data import fixtures


class ExplanationsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.explained = fixtures.explanation_set(8)
    self.folder = pathlib.Path(self.create_tempdir().full_path) / 'set'
    self.write(self.folder)

  def write(self, folder, records=None, documents=None):
    explanations.write(
      folder,
      self.explained.rows if records is None else records,
      patching.SCHEMA,
      self.explained.vectors,
      self.explained.manifest,
      documents,
    )

  def refused(self):
    """Returns the line with which reading is refused."""
    with self.assertRaises(errors.InputError) as raised:
      explanations.read(self.folder)
    line = str(raised.exception)
    self.assertIn(str(self.folder), line)
    self.assertNotIn('\n', line)
    return line

  def edit_manifest(self, **changes):
    name = self.folder / 'manifest.json'
    files.write_json(name, {**json.loads(name.read_text()), **changes})

  def test_comes_back(self):
    again = explanations.read(self.folder)
    self.assertEqual(again.rows, [fixtures.record(i) for i in range(8)])
    self.assertTrue(again.records.schema.equals(patching.SCHEMA))
    self.assertEqual(again.vectors.dtype, np.float32)
    np.testing.assert_array_equal(again.vectors, self.explained.vectors)
    self.assertEqual(again.manifest, again.manifest | self.explained.manifest)
    self.assertEqual(again.manifest['records'], 8)
    self.assertEqual(again.manifest['vectors'], 8)
    self.assertIsNone(again.documents)

  def test_a_set_without_vectors_comes_back(self):
    explained = fixtures.ablation_set(5)
    folder = self.folder.parent / 'ablation'
    explanations.write(
      folder,
      explained.rows,
      ablation.SCHEMA,
      explained.vectors,
      explained.manifest,
    )
    again = explanations.read(folder)
    self.assertEqual(again.rows, explained.rows)
    self.assertEqual(again.vectors.shape, (0, fixtures.WIDTH))
    np.testing.assert_array_equal(
      again.shown([3, 0]), np.zeros((2, 1, fixtures.WIDTH), np.float32)
    )

  def test_documents_come_back(self):
    documents = np.array([[1, 5, 7], [1, 6, -1]], np.int64)
    self.write(self.folder, documents=documents)
    again = explanations.read(self.folder).documents
    self.assertEqual(again.dtype, np.int32)
    np.testing.assert_array_equal(again, documents)

  def test_split(self):
    found = {
      name: explanations.read(self.folder).split(name).tolist()
      for name in ('train', 'validation', 'test', 'other')
    }
    self.assertEqual(sorted(sum(found.values(), [])), list(range(8)))
    for name, rows in found.items():
      self.assertEqual(rows, sorted(rows))
      for row in rows:
        self.assertEqual(fixtures.record(row)['split'], name)

  def test_equal_sets_give_equal_bytes(self):
    other = self.folder.parent / 'other'
    self.write(other)
    names = [p.relative_to(other) for p in other.rglob('*') if p.is_file()]
    self.assertGreater(len(names), 3)
    for name in names:
      self.assertEqual(
        (self.folder / name).read_bytes(), (other / name).read_bytes(), name
      )

  def test_refuses_one_without_a_manifest(self):
    (self.folder / 'manifest.json').unlink()
    self.assertIn('explanation set manifest not found', self.refused())

  def test_refuses_another_version(self):
    self.edit_manifest(format_version=explanations.FORMAT_VERSION + 1)
    self.assertIn(f'expected {explanations.FORMAT_VERSION}', self.refused())

  def test_refuses_damaged_records(self):
    name = self.folder / 'records.parquet'
    content = bytearray(name.read_bytes())
    content[len(content) // 2] ^= 1
    name.write_bytes(bytes(content))
    self.assertIn('records.parquet is missing or damaged', self.refused())

  def test_refuses_other_documents(self):
    self.write(self.folder, documents=np.array([[1, 5]]))
    other = self.folder.parent / 'other'
    self.write(other, documents=np.array([[1, 6]]))
    name = 'documents.parquet'
    (self.folder / name).write_bytes((other / name).read_bytes())
    self.assertIn('documents.parquet is missing or damaged', self.refused())
    (self.folder / name).unlink()
    self.assertIn('documents.parquet is missing or damaged', self.refused())

  def test_refuses_missing_records(self):
    (self.folder / 'records.parquet').unlink()
    self.assertIn('records.parquet is missing or damaged', self.refused())

  def test_refuses_records_of_another_set(self):
    other = self.folder.parent / 'other'
    self.write(other, [fixtures.record(i) for i in range(8, 16)])
    name = 'records.parquet'
    (self.folder / name).write_bytes((other / name).read_bytes())
    self.assertIn('records.parquet is missing or damaged', self.refused())

  def test_refuses_damaged_vectors(self):
    (shard,) = (
      p for p in (self.folder / 'vectors/c').rglob('*') if p.is_file()
    )
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(bytes(content))
    self.assertIn('vectors', self.refused())

  @parameterized.parameters({'vectors': 9}, {'width': 17})
  def test_refuses_vectors_of_another_shape(self, **changes):
    self.edit_manifest(**changes)
    self.assertRegex(self.refused(), r'has shape \(8, 16\): expected')


class ShownTest(absltest.TestCase):
  def shown(self, refs, chosen):
    """Shows records with these rows of vectors; vector i is all i + 1."""
    rows = [{'vectors': own} for own in refs]
    most = max((v + 1 for own in refs for v in own), default=0)
    return explanations.ExplanationSet(
      manifest={},
      records=pa.Table.from_pylist(
        rows, pa.schema([explanations.COMMON.field('vectors')])
      ),
      vectors=np.arange(1, most + 1, dtype=np.float32)[:, None].repeat(2, 1),
    ).shown(chosen)

  def test_by_hand(self):
    found = self.shown([[2], [], [4, 0, 2], [3, 1]], np.array([3, 0, 1]))
    self.assertEqual(found.dtype, np.float32)
    # As many as any record of the set has, though it is not among these.
    self.assertEqual(found.shape, (3, 3, 2))
    self.assertEqual(found[..., 0].tolist(), [[4, 2, 0], [3, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(found[..., 1], found[..., 0])

  def test_of_no_vectors_is_one_of_zeros(self):
    self.assertEqual(self.shown([[], []], [1]).tolist(), [[[0, 0]]])

  def test_of_no_records(self):
    self.assertEqual(self.shown([[0, 1]], []).shape, (0, 2, 2))


if __name__ == '__main__':
  absltest.main()
