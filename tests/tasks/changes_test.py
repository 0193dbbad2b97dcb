# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what questions about changed outputs have in common."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.data import questions
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.tasks import changes
from tests.data import fixtures

TOKENIZER = fixtures.TOKENIZER
EFFECT = {'clean_token': 'oboe', 'treated_token': 'harp'}


class AnswerTest(parameterized.TestCase):
  def test_tells_the_token_that_comes_out(self):
    for changed, token in ((True, 'harp'), (False, 'oboe')):
      said = changes.answer({**EFFECT, 'changed': changed})
      self.assertEqual(claims.parse(said), claims.Claim(changed, token))

  def test_is_read_back_from_tokens(self):
    for changed in (True, False):
      record = {**EFFECT, 'changed': changed}
      record['answer'] = changes.answer(record)
      again = TOKENIZER.decode(TOKENIZER.encode(record['answer']))
      self.assertTrue(changes.right(again, record))

  @parameterized.parameters(
    (True, 'harp', True),
    (True, ' HARP ', True),
    (True, 'oboe', False),
    (False, 'harp', False),
    (False, 'oboe', False),
  )
  def test_right_is_verdict_and_content(self, changed, content, right):
    record = {'answer': claims.render(True, 'harp')}
    said = claims.render(changed, content)
    self.assertEqual(changes.right(said, record), right)

  def test_nonsense_is_wrong(self):
    record = {'answer': claims.render(True, 'harp')}
    self.assertFalse(changes.right('harp', record))
    self.assertFalse(changes.right('', record))

  def test_examples_are_the_first_of_either_form(self):
    records = [
      {'changed': changed, 'answer': claims.render(changed, token)}
      for changed, token in (
        (True, 'a'),
        (True, 'b'),
        (False, 'c'),
        (False, 'd'),
      )
    ]
    self.assertEqual(
      changes.examples(records),
      [claims.render(False, 'c'), claims.render(True, 'a')],
    )


class WordsTest(absltest.TestCase):
  def test_fields_are_no_words(self):
    self.assertEqual(
      changes.plain_words(['Read <{token}> at {layers}: {x_1}', 'it, again?']),
      {'Read', 'at', 'it', 'again'},
    )

  def test_words_are_those_of_phrasings_and_of_both_answers(self):
    found = changes.words(['zebra {text}'])
    self.assertIn('zebra', found)
    self.assertNotIn('text', found)
    for changed in (True, False):
      said = claims.render(changed, 'harp').replace('<<<harp>>>.', '')
      self.assertContainsSubset(said.split(), found)

  def test_the_vector_stands_between_its_neighbours(self):
    self.assertEqual(
      TOKENIZER.encode(questions.VECTOR),
      [
        TOKENIZER.special_id('vector_begin_token'),
        TOKENIZER.vector_id,
        TOKENIZER.special_id('vector_end_token'),
      ],
    )


class EffectTest(absltest.TestCase):
  def test_reads_each_from_its_own_row(self):
    oboe, harp = TOKENIZER.id_of('oboe'), TOKENIZER.id_of('harp')
    none = np.zeros(3, np.int32)
    clean = effects_lib.Effects(
      np.array([harp, oboe, harp], np.int32),
      np.array([0.5, 1.5, 2.5], np.float32),
      none,
    )
    treated = effects_lib.Effects(
      np.array([harp, oboe, oboe], np.int32),
      np.array([3.5, 4.5, 5.5], np.float32),
      none,
    )
    self.assertEqual(
      changes.effect(TOKENIZER, clean, treated, 1, 0),
      {
        'clean_id': oboe,
        'treated_id': harp,
        'clean_token': 'oboe',
        'treated_token': 'harp',
        'clean_margin': 1.5,
        'treated_margin': 3.5,
        'changed': True,
        'system': None,
        'content_prefix': '',
      },
    )
    unchanged = changes.effect(TOKENIZER, clean, treated, 0, 0)
    self.assertIs(unchanged['changed'], False)


if __name__ == '__main__':
  absltest.main()
