# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of feature sets on features whose labels are known."""

import pathlib
from unittest import mock

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import corpora
from selfexplain_jax.dictionary import published_figures
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import features_effects
from tests.data import text_sources
from tests.fidelity import planted_features as planted


def _config(**changes):
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.documents = dict(start=50, labels=150, scores=20, length=48)
  config.shares = dict(test_labels=0.2, validation=0.2, test=0.2)
  config.unlabelled = 3
  config.expected = published_figures.config()
  config.labels = dict(source='concepts')
  config.update(changes)
  return config


def _make(corpus=planted.CORPUS, **changes):
  return features_effects.Maker(
    planted.target(),
    planted.dictionary(),
    corpus,
    planted.labeller(),
    planted.LABELS,
    _config(**changes),
  ).make()


class FeaturesEffectsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.made = _make()
    cls.of_features = [
      r for r in cls.made.records if r['place'] == features.FEATURE
    ]

  def test_labels_are_the_planted_concepts(self):
    self.assertLen(self.of_features, len(planted.CONCEPTS))
    for record in self.of_features:
      self.assertEqual(record['answer'], planted.CONCEPTS[record['feature']])
      # Features of one label are resampled together.
      self.assertEqual(record['group'], record['answer'])
      self.assertAlmostEqual(record['label_correlation'], 1, delta=1e-5)
      self.assertAlmostEqual(record['label_precision'], 1, delta=1e-5)

  def test_vectors_are_the_decoders_directions(self):
    decoder = np.asarray(planted.dictionary().by_layer[0].decoder_SxD)
    for record in self.of_features:
      (row,) = record['vectors']
      np.testing.assert_array_equal(
        self.made.vectors[row], decoder[record['feature']]
      )

  def test_records_have_the_columns_of_the_schema(self):
    for record in self.made.records:
      self.assertSameElements(record, features.SCHEMA.names)

  def test_some_labels_are_for_test_alone(self):
    splits = {}
    for record in self.of_features:
      splits.setdefault(record['split'], set()).add(record['answer'])
    self.assertSameElements(splits, ('train', 'validation', 'test'))
    self.assertEmpty(splits['train'] & splits['test'])  # One feature a label.

  def test_other_vectors_are_activations_and_their_differences(self):
    for record in self.made.records:
      if record['place'] == features.FEATURE:
        continue
      self.assertEqual((record['split'], record['answer']), ('test', ''))
      vector = self.made.vectors[record['vectors'][0]]
      if record['place'] == features.ACTIVATION:
        # One-hot in the last word of its source.
        token = planted.TOKENIZER.token(int(np.argmax(vector)))
        self.assertEqual(record['source'].split()[-1], token)
        self.assertEqual(vector.sum(), 1)
      else:
        self.assertEqual(vector.sum(), 0)
        # Two people's first names differ, and at most everything does.
        first, second = record['source'].split(': ')[0].split(' - ')
        self.assertNotEqual(first.split()[0], second.split()[0])
        self.assertIn(np.abs(vector).sum(), (0, 2))

  def test_scores_are_on_other_documents_than_labels(self):
    self.assertEqual(self.made.documents.shape, (20, 48))
    rows = [planted.CORPUS.document(50 + 150 + i, 48).ids for i in range(20)]
    np.testing.assert_array_equal(self.made.documents, rows)

  def test_text_files_give_the_same_features_but_no_differences(self):
    # The world's documents as text, among others that are too short.
    texts = []
    for index in range(220):
      ids = planted.CORPUS.document(index, 48).ids
      texts += [
        planted.TOKENIZER.decode(ids),
        planted.TOKENIZER.decode(ids[:9]),
      ]
    name = pathlib.Path(self.create_tempdir().full_path) / 'texts.parquet'
    corpus = corpora.of_files(
      str(text_sources.write(name, texts)), 'text', planted.TOKENIZER
    )
    made = _make(corpus, documents={**_config().documents, 'start': 100})
    np.testing.assert_array_equal(made.documents, self.made.documents)
    found = [r for r in made.records if r['place'] == features.FEATURE]
    for rows in (found, self.of_features):
      rows.sort(key=lambda record: record['feature'])
    for record, expected in zip(found, self.of_features, strict=True):
      self.assertEqual({**record, 'vectors': expected['vectors']}, expected)
    others = [r['place'] for r in made.records if r not in found]
    self.assertEqual(others, [features.ACTIVATION] * 3)
    self.assertIn('without_differences', made.notes)
    self.assertNotIn('without_differences', self.made.notes)
    # 100 + 2 (150 + 20) documents, but for the short one behind the last.
    self.assertEqual(made.notes['corpus'], corpus.note(439))
    self.assertEqual(self.made.notes['corpus']['source'], 'biographies')

  def test_too_few_documents(self):
    name = pathlib.Path(self.create_tempdir().full_path) / 'texts.txt'
    text_sources.write(name, ['.'] * 60)
    corpus = corpora.of_files(str(name), '', planted.TOKENIZER)
    with self.assertRaisesRegex(
      errors.InputError, 'has 0 documents of at least'
    ):
      _make(corpus)

  def test_big_dictionaries_are_read_in_smaller_batches(self):
    with mock.patch.object(features_effects, '_VALUES', 1):
      made = _make()
    self.assertEqual(made.records, self.made.records)
    np.testing.assert_array_equal(made.vectors, self.made.vectors)

  def test_a_split_without_features(self):
    with self.assertRaisesRegex(errors.InputError, 'in split train'):
      _make(shares=dict(test_labels=1.0, validation=0.0, test=0.0))

  def test_dictionaries_are_as_expected_or_refused(self):
    # About half of the tokens have a planted concept.
    _make(expected=dict(l0=(0.5,)))
    for expected, message in (
      ({'l0': (9.0,)}, 'layer 0: l0 is .*, expected 9 within'),
      ({'variance_explained': (-3.0,)}, 'layer 0: variance_explained is'),
    ):
      with self.assertRaisesRegex(
        errors.InputError, f'not as config.expected says: {message}'
      ):
        _make(expected=expected)

  def test_bad_numbers(self):
    for changes in (
      dict(unlabelled=0),
      dict(documents=dict(start=-1, labels=1, scores=1, length=2)),
      dict(documents=dict(start=0, labels=1, scores=1, length=9999)),
      dict(shares=dict(test_labels=0.0, validation=0.5, test=0.5)),
    ):
      with self.assertRaisesRegex(
        errors.InputError, 'expected (at (least|most)|none below 0)'
      ):
        features_effects.prepare(planted.target(), _config(**changes))


if __name__ == '__main__':
  absltest.main()
