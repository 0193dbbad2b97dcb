# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the wording of questions about features."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import questions
from selfexplain_jax.tasks import features
from selfexplain_jax.worlds.biographies import vocabulary
from tests.data import fixtures

RECORD = {'layer': 1, 'answer': 'names'}


class QuestionTest(parameterized.TestCase):
  @parameterized.parameters(*features.PHRASINGS)
  def test_shows_one_vector_and_names_its_layer(self, phrasing):
    asked = features.question(RECORD, phrasing)
    ids = fixtures.TOKENIZER.encode(asked)
    self.assertEqual(ids.count(fixtures.TOKENIZER.vector_id), 1)
    self.assertIn(questions.VECTOR, asked)
    self.assertNotIn('{', asked)
    other = features.question({**RECORD, 'layer': 0}, phrasing)
    self.assertEqual(other, asked.replace('1', '0'))
    self.assertNotEqual(other, asked)

  def test_phrasings_differ(self):
    asked = {features.question(RECORD, p) for p in features.PHRASINGS}
    self.assertLen(asked, len(features.PHRASINGS))

  def test_words_cover_every_layer_of_the_target(self):
    words = features.words(11)
    tokenizer = vocabulary.build_tokenizer(fixtures.WORLD, words)
    for layer in range(11):
      for phrasing in features.PHRASINGS:
        tokenizer.encode(features.question({'layer': layer}, phrasing))
    with self.assertRaisesRegex(errors.InputError, "'11'"):
      tokenizer.encode(features.question({'layer': 11}, phrasing))


class LayersTest(absltest.TestCase):
  def test_are_the_one_that_the_vector_is_of(self):
    self.assertEqual(features.layers({'layer': 3}), (3, 3))

  def test_misplaced_asks_about_the_layer_of_another(self):
    other = {'layer': 4, 'answer': 'places'}
    self.assertEqual(
      features.misplaced(RECORD, other), {'layer': 4, 'answer': 'names'}
    )


class AnswerTest(parameterized.TestCase):
  def test_is_the_label(self):
    self.assertEqual(features.answer(RECORD), 'names')

  @parameterized.parameters(
    ('', None),
    (' . ', None),
    ('First  Names .', 'first names'),
    ('first names', 'first names'),
    ('b and also a', 'a and also b'),
    ('a and also b.', 'a and also b'),
  )
  def test_parse(self, said, expected):
    self.assertEqual(features.parse(said), expected)

  @parameterized.parameters(
    ('Places and also Names.', True),
    ('names and also places', True),
    ('names', False),
    ('names and places', False),
    ('', False),
  )
  def test_right_is_the_exact_concept(self, said, right):
    record = {'answer': 'names and also places'}
    self.assertEqual(features.right(said, record), right)

  def test_nothing_is_right_where_there_is_no_label(self):
    for said in ('', 'names'):
      self.assertFalse(features.right(said, {'answer': ''}))

  @parameterized.parameters(
    (['a', 'a', '', 'b', 'c'], ['a', 'b']),
    (['a', 'a'], ['a', 'a']),
  )
  def test_examples_are_two_labels_if_there_are(self, labels, expected):
    records = [{'answer': label} for label in labels]
    self.assertEqual(features.examples(records), expected)


if __name__ == '__main__':
  absltest.main()
