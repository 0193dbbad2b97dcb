# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of feature sets on features whose labels are known."""

from unittest import mock

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import features_effects
from selfexplain_jax.tasks import labels
from tests.fidelity import planted_features as planted


def _config(**changes):
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.documents = dict(start=50, labels=150, scores=20, length=48)
  config.shares = dict(test_labels=0.2, validation=0.2, test=0.2)
  config.concept_directions = True  # For `prepare` alone.
  config.unlabelled = 3
  config.update(changes)
  return config


def _make(concepts=True, **changes):
  labeller = planted.labeller()
  return features_effects.Maker(
    planted.target(),
    planted.dictionary(),
    planted.CORPUS,
    labeller,
    _config(**changes),
    labeller if concepts else None,
  ).make()


class _Described:
  """Concepts that hold at single tokens; features are labelled by two each."""

  texts = ('a long way to say comma', 'comma', 'stop', 'never')

  def __init__(self):
    stop, comma = map(planted.TOKENIZER.id_of, '.,')
    self.tokens = {'stop': stop, 'never': -1}
    self.otherwise = comma

  def label(self, batches):
    count = next(iter(batches)).activations_BxTxF.shape[-1]
    text = [f'comma and also part {i}' for i in range(count)]
    ones = np.ones(count)
    return labels.Labels(tuple(text), tuple(text), ones, ones)

  def holds(self, tokens_BxT, texts):
    kept = np.ones(tokens_BxT.shape, bool)
    held = [tokens_BxT == self.tokens.get(t, self.otherwise) for t in texts]
    return kept, np.stack(held)[:, kept]


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

  def test_directions_of_concepts_are_for_training(self):
    found = {
      r['answer']: self.made.vectors[r['vectors'][0]]
      for r in self.made.records
      if r['place'] == features.CONCEPT
    }
    self.assertEqual(self.made.notes['concept_directions'], len(found))
    for record in self.made.records:
      if record['place'] == features.CONCEPT:
        self.assertEqual(record['split'], 'train')
    # Each planted concept that is not for test alone has one, in which its own
    # tokens are what grows.
    decoder = np.asarray(planted.dictionary().by_layer[0].decoder_SxD)
    for_test = {r['answer'] for r in self.of_features if r['split'] == 'test'}
    self.assertNotEmpty(for_test.difference(found))
    for record in self.of_features:
      if record['split'] != 'test':
        direction = found[record['answer']]
        self.assertAlmostEqual(np.linalg.norm(direction), 1, delta=1e-5)
        own = decoder[record['feature']] > 0
        self.assertLessEqual(direction[~own].max(), 0)

  def test_what_is_only_for_test_has_no_direction_in_training(self):
    made = _make(shares=dict(test_labels=0.9, validation=0.3, test=0.0))
    heard = {r['answer'] for r in made.records if r['split'] == 'train'}
    reserved = {r['answer'] for r in made.records if r['split'] == 'test'}
    self.assertEmpty(heard & reserved)

  def _directions(self, reserved=()):
    """Texts with directions; some labels are for test, whatever the draw."""
    described = _Described()
    maker = features_effects.Maker(
      planted.target(),
      planted.dictionary(),
      planted.CORPUS,
      described,
      _config(shares=dict(test_labels=0.0, validation=0.2, test=0.2)),
      described,
    )
    draw = features_effects.Maker._draw

    def drawn(self, name):
      return (
        -1.0 if name.removeprefix('label/') in reserved else draw(self, name)
      )

    with mock.patch.object(features_effects.Maker, '_draw', drawn):
      records = maker.make().records
    return {r['answer'] for r in records if r['place'] == features.CONCEPT}

  def test_of_what_holds_at_the_same_tokens_the_shortest_has_a_direction(self):
    # Labels of two hold where comma does, and what holds nowhere has none.
    self.assertEqual(self._directions(), {'comma', 'stop'})

  def test_what_is_for_test_alone_has_none_nor_what_it_is_part_of(self):
    self.assertEqual(self._directions(reserved=['comma']), {'stop'})
    # Where it is no description of its own, it still is a part of others.
    self.enter_context(mock.patch.object(_Described, 'texts', ('stop',)))
    self.assertEqual(self._directions(reserved=['comma']), {'stop'})
    (other,) = self._directions().difference(['stop'])
    self.assertStartsWith(other, 'comma and also')

  def test_what_activations_do_not_tell_has_no_direction(self):
    with mock.patch.object(features_effects, '_READABLE', 0.95):
      records = _make().records
    found = [r['answer'] for r in records if r['place'] == features.CONCEPT]
    self.assertContainsSubset(['a comma', 'the end of a sentence'], found)
    # Whose name it is takes two tokens, and the stream knows of one.
    self.assertFalse(any(text.startswith('a name of') for text in found))

  def test_there_may_be_features_alone(self):
    records = _make(concepts=False).records
    self.assertNotIn(features.CONCEPT, {r['place'] for r in records})

  def test_other_vectors_are_activations_and_their_differences(self):
    for record in self.made.records:
      if record['place'] in (features.FEATURE, features.CONCEPT):
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
    rows = [
      planted.CORPUS.row(planted.TOKENIZER, 48, 50 + 150 + i)['tokens']
      for i in range(20)
    ]
    np.testing.assert_array_equal(self.made.documents, rows)

  def test_a_split_without_features(self):
    with self.assertRaisesRegex(errors.InputError, 'in split train'):
      _make(shares=dict(test_labels=1.0, validation=0.0, test=0.0))

  def test_bad_numbers(self):
    for changes in (
      dict(unlabelled=0),
      dict(documents=dict(start=-1, labels=1, scores=1, length=2)),
      dict(documents=dict(start=0, labels=1, scores=1, length=9999)),
      dict(shares=dict(test_labels=0.0, validation=0.5, test=0.5)),
    ):
      with self.assertRaisesRegex(
        errors.InputError,
        'expected (at (least|most)|none below 0)',
      ):
        features_effects.prepare(planted.target(), _config(**changes))


if __name__ == '__main__':
  absltest.main()
