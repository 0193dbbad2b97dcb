# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of questions and answers as ids."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import questions
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from tests.data import fixtures

TOKENIZER = fixtures.TOKENIZER
EXPLAINED = fixtures.explanation_set(12)


def _encode(indices, phrasings=patching.PHRASINGS):
  rows = [EXPLAINED.rows[i] for i in indices]
  return questions.encode(rows, TOKENIZER, patching, phrasings)


class _Plain:
  """A wording whose question is its phrasing, with the record's text in it."""

  def question(self, record, phrasing):
    return phrasing.format(text=record['text'], v=questions.VECTOR)

  def answer(self, record):
    return record['answer']


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

  def test_questions_without_vectors(self):
    rows = [fixtures.ablation_record(i) for i in range(6)]
    encoded = questions.encode(rows, TOKENIZER, ablation, ablation.PHRASINGS)
    for row, asked in zip(rows, encoded.question_ids, strict=True):
      expected = [
        TOKENIZER.encode_prompt(ablation.question(row, phrasing))
        for phrasing in ablation.PHRASINGS
      ]
      self.assertEqual(asked, expected)
      self.assertNotIn(TOKENIZER.vector_id, sum(asked, []))

  @parameterized.parameters(0, 1, 3)
  def test_as_many_vector_tokens_as_the_record_has_vectors(self, count):
    row = {**EXPLAINED.rows[2], 'vectors': list(range(count))}

    def encode(shown):
      phrasing = ' '.join(['{text}', *['{v}'] * shown])
      return questions.encode([row], TOKENIZER, _Plain(), [phrasing])

    ((ids,),) = encode(count).question_ids
    self.assertEqual(ids.count(TOKENIZER.vector_id), count)
    for shown in {count - 1, count + 1} - {-1}:
      with self.assertRaisesRegex(errors.InputError, f'expected {count},'):
        encode(shown)

  @parameterized.parameters(
    ('{text} , {token}', 0),
    ('{patched} , {vector}', 2),
    ('{patched} , {patched}', 2),
  )
  def test_refuses_another_number_of_vectors(self, phrasing, count):
    with self.assertRaises(errors.InputError) as raised:
      _encode([5, 3], (patching.PHRASINGS[0], phrasing))
    line = str(raised.exception)
    asked = patching.question(fixtures.record(5), phrasing)
    self.assertIn(
      f'question {asked!r} has {count} vector tokens: expected 1', line
    )
    self.assertNotIn('\n', line)

  def test_names_the_question_of_a_later_record(self):
    rows = [fixtures.record(i) for i in range(4)]
    rows[2]['vectors'] = []
    asked = patching.question(rows[2], patching.PHRASINGS[0])
    with self.assertRaises(errors.InputError) as raised:
      questions.encode(rows, TOKENIZER, patching, patching.PHRASINGS)
    self.assertIn(repr(asked), str(raised.exception))

  def test_refuses_a_second_begin_token(self):
    bos = TOKENIZER.special['bos_token']
    with self.assertRaisesRegex(errors.InputError, 'no BOS'):
      _encode([4], (bos + ' {patched}',))

  def test_refuses_an_unknown_word(self):
    with self.assertRaisesRegex(errors.InputError, "'zebra'"):
      _encode([0], ('zebra {patched}',))


if __name__ == '__main__':
  absltest.main()
