# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of converting the published layout, and of being killed at it."""

import os
import pathlib
import pickle
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import ml_dtypes
import numpy as np
from pyarrow import parquet
import safetensors
from safetensors import numpy as safetensors_numpy

from experiments import conversion as conversion_config
from launch import convert_published
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.published import conversion
from selfexplain_jax.published import pickles

_DATA = pathlib.Path(__file__).parent / 'data'


class ConversionTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self._folder = pathlib.Path(self.create_tempdir().full_path)
    self._out = self._folder / 'out'

  def _convert(self, source: os.PathLike[str], dry_run: bool = False) -> None:
    config = conversion_config.get_config()
    config.source = str(source)
    convert_published.run(config, str(self._out), dry_run)

  def _contents(self) -> dict[str, bytes]:
    return {
      str(p.relative_to(self._out)): p.read_bytes()
      for p in self._out.rglob('*')
      if p.is_file()
    }

  def test_layout_of_features(self):
    source = _DATA / 'features'
    np.save(self._folder / 'x.npy', np.arange(3))
    self._convert(source)
    for layer in (0, 1):
      matrix = pickles.read(source / f'features/layer_{layer}.pkl')
      found = safetensors_numpy.load_file(
        self._out / f'features/layer_{layer}.safetensors'
      )
      np.testing.assert_array_equal(
        found[conversion.DIRECTIONS], matrix.T, strict=True
      )
    labels = parquet.read_table(
      self._out / 'explanations/test_explanations.parquet'
    )
    self.assertEqual(labels.schema, conversion.LABELS)
    self.assertEqual(
      labels.to_pylist()[1],
      {
        'layer': 0,
        'feature': 4,
        'chosen_label': 'words about ships',
        'all_labels': ['words about ships', 'terms of ships'],
        'scores': [0.5, None],
        'context': None,
      },
    )
    pairs = parquet.read_table(
      self._out / 'explanations/test_layer_feature_idxs.parquet'
    )
    self.assertEqual(pairs.num_rows, 12)
    vectors = safetensors_numpy.load_file(
      self._out / 'test_vectors.safetensors'
    )
    np.testing.assert_array_equal(
      vectors[conversion.VALUES], pickles.read(source / 'test_vectors.pt')
    )
    self.assertEqual(
      (self._out / 'test_indices.json').read_bytes(),
      (source / 'test_indices.json').read_bytes(),
    )
    manifest = files.read_json(self._out / conversion.MANIFEST, 'manifest')
    self.assertLen(manifest['files'], 9)

  def test_one_file(self):
    self._convert(_DATA / 'tensors/zip_bfloat16.pt')
    content = (self._out / 'zip_bfloat16.safetensors').read_bytes()
    ((name, found),) = safetensors.deserialize(content)
    self.assertEqual(name, conversion.VALUES)
    self.assertEqual((found['dtype'], found['shape']), ('BF16', [3, 4]))
    expected = np.arange(12).astype(ml_dtypes.bfloat16)
    self.assertEqual(bytes(found['data']), expected.tobytes())

  def test_a_matrix_is_turned_in_parts(self):
    chunk = conversion._CHUNK_BYTES
    self.addCleanup(setattr, conversion, '_CHUNK_BYTES', chunk)
    conversion._CHUNK_BYTES = 100  # Of 64 a row.
    source = _DATA / 'features/features/layer_0.pkl'
    self._convert(source)
    found = safetensors_numpy.load_file(self._out / 'layer_0.safetensors')
    np.testing.assert_array_equal(
      found[conversion.DIRECTIONS], pickles.read(source).T
    )

  def test_goes_on_where_it_was_killed(self):
    source = self._folder / 'source'
    shutil.copytree(_DATA / 'features', source)
    self._convert(source)
    whole = self._contents()
    # Killed before the last files.
    os.remove(self._out / conversion.MANIFEST)
    os.remove(self._out / 'test_vectors.safetensors')
    kept = self._out / 'features/layer_0.safetensors'
    written = kept.stat().st_mtime_ns
    self._convert(source)
    self.assertEqual(self._contents(), whole)
    self.assertEqual(kept.stat().st_mtime_ns, written)
    # A finished one reads nothing.
    shutil.rmtree(source)
    self._convert(source)

  def test_dry_run_writes_nothing(self):
    self._convert(_DATA / 'features', dry_run=True)
    self.assertFalse(self._out.exists())

  @parameterized.named_parameters(
    ('a text', 'just a text', 'holds a str'),
    ('no labels', [1, 2], 'entry 0 is no ((layer, feature), labels)'),
    ('a pair of texts', [('a', 'b')], 'entry 0'),
    ('a negative layer', [((-1, 2), {})], 'entry 0'),
    ('no chosen label', [((0, 1), {'all_labels': []})], 'labels of entry 0'),
    (
      'a score in words',
      [
        (
          (0, 1),
          {
            'chosen_label': 'a',
            'all_labels': ['a'],
            'all_label_scores': {'a': 'high'},
          },
        )
      ],
      'a score of entry 0 is a str',
    ),
    ('complex numbers', {'a': np.zeros(2, np.uint32)}, 'of dtype uint32'),
    (
      'far more labels than bytes',
      [((0, 1), {'chosen_label': 'x' * 9999, 'all_labels': []})] * 10**4,
      'far longer than its',
    ),
  )
  def test_refused(self, value, said):
    source = self._folder / 'file.pkl'
    source.write_bytes(pickle.dumps(value))
    with self.assertRaises(errors.InputError) as caught:
      self._convert(source)
    self.assertIn(said, str(caught.exception))
    self.assertIn('file', str(caught.exception))
    self.assertFalse((self._out / conversion.MANIFEST).exists())

  def test_missing_sources(self):
    with self.assertRaisesRegex(errors.InputError, 'expected a pickle'):
      self._convert(self._folder / 'nothing')
    (self._folder / 'empty').mkdir()
    with self.assertRaisesRegex(errors.InputError, 'holds no pickle'):
      self._convert(self._folder / 'empty')


if __name__ == '__main__':
  absltest.main()
