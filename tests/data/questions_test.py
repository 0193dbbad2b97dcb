# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of questions and answers as ids."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import questions
from selfexplain_jax.tasks import patching
from tests.data import fixtures

TOKENIZER = fixtures.TOKENIZER
EXPLAINED = fixtures.explanation_set(12)


def _encode(indices, phrasings=patching.PHRASINGS):
  return questions.encode(EXPLAINED, indices, TOKENIZER, phrasings)


class EncodeTest(parameterized.TestCase):
  def test_each_phrasing_of_each_record_in_order(self):
    indices = [7, 2, 11]
    encoded = _encode(indices)
    self.assertLen(encoded.question_ids, 3)
    for index, asked in zip(indices, encoded.question_ids, strict=True):
      record = fixtures.record(index)
      expected = [
        TOKENIZER.encode_prompt(patching.question(record, phrasing))
        for phrasing in patching.PHRASINGS
      ]
      self.assertEqual(asked, expected)

  def test_answers_end_with_the_end_token(self):
    encoded = _encode(range(12))
    for index, ids in enumerate(encoded.answer_ids):
      said = fixtures.record(index)['answer']
      self.assertEqual(ids, [*TOKENIZER.encode(said), TOKENIZER.eos_id])

  def test_of_no_records(self):
    self.assertEqual(_encode([]), questions.Questions([], []))

  @parameterized.parameters(
    ('{text} , {token}', 0),
    ('{patched} , {vector}', 2),
    ('{patched} , {patched}', 2),
  )
  def test_refuses_another_number_of_vectors(self, phrasing, count):
    with self.assertRaises(errors.InputError) as raised:
      _encode([5, 3], (patching.PHRASINGS[0], phrasing))
    line = str(raised.exception)
    self.assertIn(f'record 5: its question has {count} vector tokens', line)
    self.assertNotIn('\n', line)

  def test_refuses_a_second_begin_token(self):
    bos = TOKENIZER.special['bos_token']
    with self.assertRaisesRegex(errors.InputError, 'record 4: .*no BOS'):
      _encode([4], (bos + ' {patched}',))

  def test_refuses_an_unknown_word(self):
    with self.assertRaisesRegex(errors.InputError, "'zebra'"):
      _encode([0], ('zebra {patched}',))


if __name__ == '__main__':
  absltest.main()
