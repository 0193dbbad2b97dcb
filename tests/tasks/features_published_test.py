# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of feature sets of published descriptions."""

from collections.abc import Callable
import functools
import gzip
import json
import pathlib
import shutil
from typing import Any

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np
import pyarrow as pa
from pyarrow import parquet
from safetensors import numpy as safetensors_numpy

from experiments.features import published as config_file
from selfexplain_jax import errors
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder
from selfexplain_jax.published import pickles
from selfexplain_jax.tasks import features_published
from selfexplain_jax.tasks import target as target_lib
from tests.published import made

_PICKLED = pathlib.Path(__file__).parents[1] / 'published/data/features'
Damage = Callable[[pathlib.Path], Any]


@functools.cache
def _data() -> tuple[pathlib.Path, target_lib.Target]:
  """A target and data of both kinds, not to be changed."""
  folder = pathlib.Path(absltest.get_default_test_tmpdir()) / 'features'
  model, tokenizer = made.write_target(folder / 'model', 'llama')
  made.write_features(folder / 'layout', (model, tokenizer))
  made.write_neuronpedia(folder / 'export')
  return folder, target_lib.Target.of(model, tokenizer, str(folder), 'hash')


def _config(kind: str, folder: pathlib.Path) -> ml_collections.ConfigDict:
  config = config_file.get_config(kind)
  if kind == 'layout':
    config.published.folder = str(folder)
    config.published.activations = str(folder)
    config.validation_share = 0.2
  else:
    config.published.explanations = f'{folder}/*.jsonl.gz'
    config.corpus.files = f'{folder}/texts.jsonl'
    config.documents = dict(scores=8, length=6)
    config.shares = dict(validation=0.2, test=0.2)
  return config


def _change_lines(change: Callable[[list[Any]], Any]) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    name = folder / 'batch-0.jsonl.gz'
    lines = gzip.decompress(name.read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows)
    text = ''.join(f'{json.dumps(row)}\n' for row in rows)
    name.write_bytes(gzip.compress(text.encode()))

  return damage


def _change_labels(change: Callable[[list[Any]], Any]) -> Damage:
  def damage(folder: pathlib.Path) -> None:
    name = folder / 'explanations/train_explanations.parquet'
    table = parquet.read_table(name)
    rows = table.to_pylist()
    change(rows)
    parquet.write_table(pa.Table.from_pylist(rows, table.schema), name)

  return damage


def _as_in_files(records):
  """The records in the order of their vectors, which are as in the files."""
  return sorted(records, key=lambda record: record['vectors'])


class FeaturesPublishedTest(parameterized.TestCase):
  def _copy(self, kind: str) -> pathlib.Path:
    folder, _ = _data()
    copy = pathlib.Path(self.create_tempdir().full_path) / 'copy'
    shutil.copytree(folder / ('layout' if kind == 'layout' else 'export'), copy)
    return copy

  def test_layout(self):
    folder, target = _data()
    made_set = features_published.prepare(
      target, _config('layout', folder / 'layout')
    ).make()
    matrix = [
      pickles.read(_PICKLED / f'features/layer_{i}.pkl') for i in (0, 1)
    ]
    for record in made_set.records:
      vector = made_set.vectors[record['vectors'][0]]
      if record['place'] == 'feature':
        np.testing.assert_array_equal(
          vector, matrix[record['layer']][:, record['feature']]
        )
        self.assertEqual(record['split'] == 'test', record['feature'] % 4 == 0)
        self.assertStartsWith(record['answer'], 'words about ')
        self.assertEqual(record['label_correlation'], 0.5)
      else:
        self.assertEqual((record['split'], record['answer']), ('test', ''))
    self.assertLen(made_set.records, 48 + 6)
    extra = pickles.read(_PICKLED / 'test_vectors.pt')
    np.testing.assert_array_equal(made_set.vectors[48:], extra)
    self.assertGreater(
      sum(r['split'] == 'validation' for r in made_set.records), 2
    )
    self.assertEqual(made_set.notes['also_in_train']['test']['feature'], 0)
    self.assertEqual(made_set.notes['exemplars_left_out'], 2)
    # With BOS, which the exemplars lack.
    documents = made_set.documents
    self.assertEqual(documents.shape[1], 13)
    self.assertEqual(set(documents[:, 0]), {target.tokenizer.bos_id})
    self.assertLen(np.unique(documents, axis=0), len(documents))

  def test_exports_with_vectors(self):
    folder, target = _data()
    made_set = features_published.prepare(
      target, _config('vectors', folder / 'export')
    ).make()
    lines = gzip.decompress((folder / 'export/batch-0.jsonl.gz').read_bytes())
    for record, line in zip(
      _as_in_files(made_set.records), lines.splitlines(), strict=True
    ):
      row = json.loads(line)
      self.assertEqual(record['answer'], row['description'].strip())
      self.assertEqual(record['layer'], int(row['layer'][0]))
      self.assertEqual(record['feature'], int(row['index']))
      np.testing.assert_allclose(
        made_set.vectors[record['vectors'][0]], row['vector'], rtol=1e-6
      )
    self.assertEqual(made_set.notes['model'], 'tiny')
    self.assertEqual(made_set.documents.shape, (8, 6))

  def test_exports_about_a_dictionary(self):
    _, target = _data()
    copy = self._copy('neuronpedia')
    rng = np.random.default_rng(0)
    sae = sparse_autoencoder.SparseAutoencoder(
      encoder_DxS=np.float32(rng.normal(size=(16, 24))),
      encoder_bias_S=np.zeros(24, np.float32),
      decoder_SxD=np.float32(rng.normal(size=(24, 16))),
      decoder_bias_D=np.zeros(16, np.float32),
      threshold_S=np.zeros(24, np.float32),
    )
    for layer in (0, 1):
      hook = saelens.hook_name('resid_post', layer)
      saelens.save(sae, copy / f'dictionary/{hook}', {'hook_name': hook})
    config = _config('neuronpedia', copy)
    config.dictionary = f'{copy}/dictionary'
    _change_lines(lambda rows: [r.pop('vector') for r in rows])(copy)
    made_set = features_published.prepare(target, config).make()
    for record in made_set.records:
      np.testing.assert_array_equal(
        made_set.vectors[record['vectors'][0]],
        sae.decoder_SxD[record['feature']],
      )
    self.assertIsNotNone(made_set.notes['dictionary'])
    # Lines may have the vectors as well, if they are the same.
    for scale in (2.0, -2.0):
      _change_lines(
        lambda rows, scale=scale: [
          r.update(vector=(scale * sae.decoder_SxD[int(r['index'])]).tolist())
          for r in rows
        ]
      )(copy)
      maker = features_published.prepare(target, config)
      if scale > 0:
        self.assertLen(maker.make().records, len(made_set.records))
        continue
      with self.assertRaisesRegex(
        errors.InputError, 'line .*cosine.* is -1.00'
      ):
        maker.make()
    _change_lines(lambda rows: rows[3].update(index=24))(copy)
    with self.assertRaisesRegex(
      errors.InputError, 'line 4: feature 24 of layer 0 is not in the dict'
    ):
      features_published.prepare(target, config)

  def test_the_first_description_is_the_label(self):
    _, target = _data()
    copy = self._copy('vectors')

    def change(rows: list[Any]) -> None:
      rows.append({**rows[0], 'description': 'something else'})
      rows[1]['description'] = ' '
      rows[2]['explanations'] = [{'description': 'one'}, {'description': 'two'}]

    _change_lines(change)(copy)
    made_set = features_published.prepare(
      target, _config('vectors', copy)
    ).make()
    first, second, *_ = _as_in_files(made_set.records)
    self.assertEqual(first['answer'], 'words about ships')
    self.assertEqual(second['answer'], 'one')
    self.assertEqual(made_set.notes['without_description'], 1)
    self.assertEqual(made_set.notes['further_descriptions'], 1)

  @parameterized.named_parameters(
    (
      'no labels',
      'layout',
      lambda f: (f / 'explanations/test_explanations.parquet').unlink(),
      'no ',
    ),
    (
      'pickled labels',
      'layout',
      lambda f: (f / 'explanations/test_explanations.parquet').rename(
        f / 'explanations/test_explanations.pkl'
      ),
      'launch.convert_published',
    ),
    (
      'pickled directions',
      'layout',
      lambda f: (f / 'features/layer_1.safetensors').rename(
        f / 'features/layer_1.pkl'
      ),
      'launch.convert_published',
    ),
    (
      'directions of another width',
      'layout',
      lambda f: safetensors_numpy.save_file(
        {'directions': np.zeros((24, 8), np.float32)},
        f / 'features/layer_0.safetensors',
      ),
      'has shape (24, 8): expected [features, 16]',
    ),
    (
      'too few directions',
      'layout',
      lambda f: safetensors_numpy.save_file(
        {'directions': np.zeros((4, 16), np.float32)},
        f / 'features/layer_0.safetensors',
      ),
      'has 4 features: expected more than 23',
    ),
    (
      'directions that are not finite',
      'layout',
      lambda f: safetensors_numpy.save_file(
        {'directions': np.full((24, 16), np.nan, np.float32)},
        f / 'features/layer_0.safetensors',
      ),
      'the direction of feature 1 is not finite',
    ),
    (
      'a layer beyond the target',
      'layout',
      _change_labels(lambda rows: rows[2].update(layer=7)),
      'row 2: layer is 7',
    ),
    (
      'an empty label',
      'layout',
      _change_labels(lambda rows: rows[2].update(chosen_label=' ')),
      'row 2: chosen_label is empty',
    ),
    (
      'exemplars of other features',
      'layout',
      lambda f: np.save(
        f / 'test/layer0/max_seq_ids.npy', np.zeros((3, 2, 5), int)
      ),
      'expected token ids [6 features',
    ),
    (
      'exemplars of another vocabulary',
      'layout',
      lambda f: np.save(
        f / 'test/layer0/max_seq_ids.npy', np.full((6, 2, 5), 9999)
      ),
      'has the token id 9999',
    ),
    (
      'vectors without layers',
      'layout',
      lambda f: (f / 'test_indices.json').write_text('[[0, 1]]'),
      'expected a [layer, number] of each of the 6 vectors',
    ),
    (
      'no JSON',
      'vectors',
      lambda f: (f / 'batch-0.jsonl.gz').write_bytes(gzip.compress(b'{x')),
      'line 1 is no JSON',
    ),
    (
      'a cut file',
      'vectors',
      lambda f: (f / 'batch-0.jsonl.gz').write_bytes(
        (f / 'batch-0.jsonl.gz').read_bytes()[:-40]
      ),
      'is damaged after',
    ),
    (
      'no description',
      'vectors',
      _change_lines(lambda rows: rows[4].pop('description')),
      'line 5 has no description',
    ),
    (
      'a layer without a number',
      'vectors',
      _change_lines(lambda rows: rows[4].update(layer='res-jb')),
      "line 5: layer is 'res-jb'",
    ),
    (
      'a vector of another width',
      'vectors',
      _change_lines(lambda rows: rows[4].update(vector=[1, 2])),
      'line 5: vector has shape (2,)',
    ),
    (
      'no vector',
      'vectors',
      _change_lines(lambda rows: rows[4].pop('vector')),
      'line 5 has no vector',
    ),
    (
      'two models',
      'vectors',
      _change_lines(lambda rows: rows[4].update(modelId='other')),
      'line 5 is of other and res-test',
    ),
  )
  def test_refused(self, kind, damage, said):
    _, target = _data()
    copy = self._copy(kind)
    damage(copy)
    with self.assertRaises(errors.InputError) as caught:
      features_published.prepare(target, _config(kind, copy)).make()
    self.assertIn(said, str(caught.exception))
    self.assertIn(str(copy), str(caught.exception))
    self.assertLen(str(caught.exception).splitlines(), 1)


if __name__ == '__main__':
  absltest.main()
