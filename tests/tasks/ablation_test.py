# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the wording of ablation questions."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import changes
from selfexplain_jax.worlds.biographies import vocabulary
from tests.data import fixtures

REMOVED = {
  'text': 'anna keller plays the',
  'treatment': ablation.REMOVED,
  'span_text': 'keller',
  'replacement_text': '',
  'ablated_text': 'anna plays the',
}
REPLACED = {
  **REMOVED,
  'treatment': ablation.REPLACED,
  'replacement_text': 'ivanov',
  'ablated_text': 'anna ivanov plays the',
}


class QuestionTest(parameterized.TestCase):
  def test_by_hand(self):
    phrasing = ablation.PHRASINGS[0]
    self.assertEqual(
      ablation.question(REMOVED, phrasing),
      '<<<anna keller plays the>>> without <keller> becomes '
      '<<<anna plays the>>>. What comes next?',
    )
    self.assertEqual(
      ablation.question(REPLACED, phrasing),
      '<<<anna keller plays the>>> with <ivanov> for <keller> becomes '
      '<<<anna ivanov plays the>>>. What comes next?',
    )

  @parameterized.product(
    phrasing=ablation.PHRASINGS, record=(REMOVED, REPLACED)
  )
  def test_names_both_texts_and_the_span_and_shows_no_vector(
    self, phrasing, record
  ):
    asked = ablation.question(record, phrasing)
    self.assertNotIn('{', asked)
    ids = fixtures.TOKENIZER.encode(asked)
    self.assertNotIn(fixtures.TOKENIZER.vector_id, ids)
    for change in (
      {'text': 'karla ivanov draws a salary from'},
      {'span_text': 'anna'},
      {'ablated_text': 'karla plays the'},
    ):
      self.assertNotEqual(
        ablation.question({**record, **change}, phrasing), asked, change
      )

  @parameterized.parameters(*ablation.PHRASINGS)
  def test_names_what_stands_there_instead(self, phrasing):
    asked = ablation.question(REPLACED, phrasing)
    self.assertIn('<ivanov>', asked)
    self.assertNotEqual(asked, ablation.question(REMOVED, phrasing))

  def test_phrasings_differ(self):
    asked = {ablation.question(REMOVED, p) for p in ablation.PHRASINGS}
    self.assertLen(asked, len(ablation.PHRASINGS))

  def test_the_answer_is_not_in_the_question(self):
    record = {**REPLACED, 'clean_token': 'oboe', 'treated_token': 'harp'}
    record |= {'changed': True, 'answer': claims.render(True, 'harp')}
    for phrasing in ablation.PHRASINGS:
      asked = ablation.question(record, phrasing)
      self.assertNotIn('oboe', asked)
      self.assertNotIn('harp', asked)


class LanguageTest(absltest.TestCase):
  def test_answers_as_all_questions_about_changes(self):
    self.assertIs(ablation.answer, changes.answer)
    self.assertIs(ablation.right, changes.right)
    self.assertIs(ablation.examples, changes.examples)

  def test_names_no_layers(self):
    self.assertIsNone(ablation.misplaced(REMOVED, REPLACED))
    self.assertEqual(ablation.layers(REMOVED), (0, 0))

  def test_words_cover_every_question_and_answer(self):
    tokenizer = vocabulary.build_tokenizer(fixtures.WORLD, ablation.words(4))
    for index in range(12):
      record = fixtures.ablation_record(index)
      for phrasing in ablation.PHRASINGS:
        # An unknown word raises.
        tokenizer.encode(ablation.question(record, phrasing))
      tokenizer.encode(ablation.answer(record))
    with self.assertRaises(errors.InputError):
      vocabulary.build_tokenizer(fixtures.WORLD, []).encode(
        ablation.question(record, ablation.PHRASINGS[0])
      )

  def test_predictions_copy_columns_that_there_are(self):
    self.assertContainsSubset(ablation.COPIED, ablation.SCHEMA.names)


if __name__ == '__main__':
  absltest.main()
