# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what simulators read."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.simulators import conventions
from tests.fidelity import planted_features as planted


class _Llama:
  """Stands in for the tokenizer of Llama 3.1: an id for each character."""

  bos_id = 128000

  def encode_prompt(self, text):
    return [self.bos_id, *map(ord, text)]


class ConventionsTest(absltest.TestCase):
  def test_the_plain_one(self):
    plain = conventions.convention('plain')
    tokenizer = planted.TOKENIZER
    prompt = plain.prompt(tokenizer, 'a last name')
    words = [tokenizer.token(i) for i in prompt]
    self.assertEqual(words, ['<|bos|>', 'a', 'last', 'name', '>>>'])
    documents = np.array([[1, 20, 21], [1, 30, 31]])
    np.testing.assert_array_equal(
      plain.document(documents), [[20, 21], [30, 31]]
    )
    self.assertEqual(plain.level_ids, tuple(range(11)))
    plain.check(tokenizer, tokenizer.vocab_size)

  def test_the_published_one(self):
    published = conventions.convention('published')
    prompt = published.prompt(_Llama(), 'cats')
    self.assertEqual(prompt[0], 128257)
    self.assertEqual(
      ''.join(map(chr, prompt[1:])),
      '## Neuron Description: cats\n\n ## Input: ',
    )
    document = np.array([[128000, 5, 128006, 6, 128007, 7, 128009, 128008]])
    before = document.copy()
    np.testing.assert_array_equal(
      published.document(document),
      [[128257, 5, 128258, 6, 128259, 7, 128260, 128008]],
    )
    np.testing.assert_array_equal(document, before)
    published.check(_Llama(), 128261)
    with self.assertRaisesRegex(errors.InputError, 'more than 128260'):
      published.check(_Llama(), 128256)
    with self.assertRaisesRegex(
      errors.InputError, 'the BOS 1: expected 128000'
    ):
      published.check(planted.TOKENIZER, 128261)

  def test_rows(self):
    documents = np.array([[7, 8], [9, 6]], np.int32)
    tokens, start = conventions.rows([[1, 2, 3], [1]], documents, 6)
    np.testing.assert_array_equal(
      tokens, [[1, 2, 3, 7, 8, 0], [1, 9, 6, 0, 0, 0]]
    )
    np.testing.assert_array_equal(start, [3, 1])
    self.assertEqual((tokens.dtype, start.dtype), (np.int32, np.int32))

  def test_unknown(self):
    with self.assertRaisesRegex(errors.InputError, 'plain, published'):
      conventions.convention('secret')


if __name__ == '__main__':
  absltest.main()
