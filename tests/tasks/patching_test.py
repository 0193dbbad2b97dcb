# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the wording of patching questions."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import questions
from selfexplain_jax.fidelity import claims
from selfexplain_jax.tasks import patching
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary
from tests.data import fixtures

RECORD = {
  'text': 'anna keller plays the',
  'before': 'anna',
  'token_text': 'keller',
  'after': 'plays the',
  'first_layer': 1,
  'last_layer': 1,
}


class QuestionTest(parameterized.TestCase):
  @parameterized.parameters(*patching.PHRASINGS)
  def test_shows_one_vector_and_names_text_token_and_layers(self, phrasing):
    asked = patching.question(RECORD, phrasing)
    ids = fixtures.TOKENIZER.encode(asked)
    special = fixtures.TOKENIZER
    self.assertEqual(ids.count(special.vector_id), 1)
    # The vector is found by its two neighbours.
    at = ids.index(special.vector_id)
    self.assertEqual(
      [ids[at - 1], ids[at + 1]],
      [
        special.special_id('vector_begin_token'),
        special.special_id('vector_end_token'),
      ],
    )
    self.assertNotIn('{', asked)
    for change in (
      {'text': 'karla ivanov draws a salary from'},
      {'token_text': 'ivanov'},
      {'last_layer': 2},
      {'before': '', 'after': 'salary'},
    ):
      self.assertNotEqual(
        patching.question({**RECORD, **change}, phrasing), asked, change
      )

  @parameterized.parameters(*patching.PHRASINGS)
  def test_the_vector_stands_where_the_token_stood(self, phrasing):
    asked = patching.question(RECORD, phrasing)
    self.assertIn(f'anna {questions.VECTOR} plays the', asked)
    # Neither end leaves a space of an empty part behind.
    at_start = patching.question({**RECORD, 'before': ''}, phrasing)
    self.assertIn(f'<{questions.VECTOR} plays', at_start)
    at_end = patching.question({**RECORD, 'after': ''}, phrasing)
    self.assertIn(f'anna {questions.VECTOR}>', at_end)

  def test_phrasings_differ(self):
    asked = {patching.question(RECORD, p) for p in patching.PHRASINGS}
    self.assertLen(asked, len(patching.PHRASINGS))

  def test_a_phrasing_of_a_users_own(self):
    self.assertEqual(
      patching.question(RECORD, '{vector} at {layers} for {token} ?'),
      f'{questions.VECTOR} at 1 for keller ?',
    )

  @parameterized.parameters((3, 3, '3'), (0, 0, '0'), (2, 4, '2 to 4'))
  def test_layers(self, first, last, expected):
    self.assertEqual(patching.layers_text(first, last), expected)


class AnswerTest(absltest.TestCase):
  def test_tells_the_token_that_comes_out(self):
    effect = {'clean_token': 'oboe', 'treated_token': 'harp'}
    for changed, token in ((True, 'harp'), (False, 'oboe')):
      said = patching.answer({**effect, 'changed': changed})
      self.assertEqual(claims.parse(said), claims.Claim(changed, token))

  def test_is_read_back_from_tokens(self):
    tokenizer = fixtures.TOKENIZER
    for changed in (True, False):
      said = patching.answer(
        {'clean_token': 'oboe', 'treated_token': 'oboe', 'changed': changed}
      )
      again = claims.parse(tokenizer.decode(tokenizer.encode(said)))
      self.assertTrue(again.matches(claims.Claim(changed, 'oboe')))


class WordsTest(absltest.TestCase):
  def test_cover_every_question_and_answer(self):
    layers = 12
    world = facts.make_world(seed=0, people=48)
    tokenizer = vocabulary.build_tokenizer(world, patching.words(layers))
    effect = {'clean_token': 'oboe', 'treated_token': 'harp'}
    for first in range(layers):
      for last in range(first, layers):
        block = {'first_layer': first, 'last_layer': last}
        for phrasing in patching.PHRASINGS:
          # An unknown word raises.
          tokenizer.encode(patching.question({**RECORD, **block}, phrasing))
    for changed in (True, False):
      tokenizer.encode(patching.answer({**effect, 'changed': changed}))

  def test_a_layer_that_was_not_counted_is_unknown(self):
    block = {'first_layer': 0, 'last_layer': fixtures.LAYERS}
    asked = patching.question({**RECORD, **block}, patching.PHRASINGS[0])
    with self.assertRaisesRegex(errors.InputError, f"'{fixtures.LAYERS}'"):
      fixtures.TOKENIZER.encode(asked)


class LayersTest(absltest.TestCase):
  def test_layers(self):
    record = {**RECORD, 'first_layer': 2, 'last_layer': 5}
    self.assertEqual(patching.layers(record), (2, 5))

  def test_misplaced_asks_the_same_about_other_layers(self):
    other = {**fixtures.record(1), 'first_layer': 2, 'last_layer': 5}
    asked = patching.misplaced(RECORD, other)
    self.assertEqual(asked, {**RECORD, 'first_layer': 2, 'last_layer': 5})
    phrasing = patching.PHRASINGS[0]
    self.assertEqual(
      patching.question(asked, phrasing),
      patching.question(RECORD, phrasing).replace('layers 1', 'layers 2 to 5'),
    )


if __name__ == '__main__':
  absltest.main()
