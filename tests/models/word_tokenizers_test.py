# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of tokenizers whose tokens are words."""

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer
from selfexplain_jax.models import word_tokenizers


class MakeTest(absltest.TestCase):
  def test_refuses_a_word_twice(self):
    special = tokenizer.SPECIAL_TOKENS
    with self.assertRaisesRegex(errors.InputError, "'oslo' at 8"):
      word_tokenizers.make((*special.values(), 'oslo', 'oslo'), special)


class OfIdsTest(absltest.TestCase):
  def test_ids_are_preserved(self):
    tokens = word_tokenizers.of_ids(130, 1, 2, ['yes', 'no', 't5', 'yes'])
    self.assertEqual(tokens.encode('t12 t129 t0'), [12, 129, 0])
    self.assertEqual(tokens.encode_prompt('t12 t10'), [1, 12, 10])
    self.assertEqual((tokens.bos_id, tokens.eos_id), (1, 2))
    self.assertEqual(
      sorted(
        [
          tokens.special_id(role)
          for role in tokenizer.SPECIAL_TOKENS
          if role not in ('bos_token', 'eos_token')
        ]
      ),
      list(range(130, 136)),
    )
    self.assertEqual(tokens.id_of('no'), tokens.vocab_size - 2)
    self.assertEqual(tokens.id_of('yes'), tokens.vocab_size - 1)
    self.assertEqual(
      tokens.vocab_size, 136 + len(word_tokenizers.PUNCTUATION) + 2
    )
    self.assertEqual(
      tokens.decode(tokens.encode('t1 t12 <<<yes>>> t2')), 't12 <<< yes >>>'
    )

  def test_begin_token_is_optional(self):
    tokens = word_tokenizers.of_ids(5, None, 2)
    self.assertEqual(tokens.encode_prompt('t1'), [1])

  def test_refuses_ids_outside(self):
    for bos_id, eos_id in ((5, 2), (1, -1)):
      with self.assertRaisesRegex(errors.InputError, 'expected 0 to 4'):
        word_tokenizers.of_ids(5, bos_id, eos_id)


if __name__ == '__main__':
  absltest.main()
