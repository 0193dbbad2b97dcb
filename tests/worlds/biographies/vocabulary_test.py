# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the biographies world's vocabulary."""

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(0)


class VocabularyTest(absltest.TestCase):
  def test_special_ids(self):
    tokens = vocabulary.build_tokenizer(WORLD, [])
    self.assertEqual(
      [tokens.token(i) for i in range(8)],
      [
        '<|pad|>',
        '<|bos|>',
        '<|eos|>',
        '<|unk|>',
        '<|vector_begin|>',
        '<|vector_end|>',
        '<|vector|>',
        '<|sep|>',
      ],
    )
    self.assertEqual((tokens.bos_id, tokens.eos_id), (1, 2))

  def test_words_are_in_alphabetic_order(self):
    tokens = vocabulary.build_tokenizer(WORLD, ['zebra', 'The', '7'])
    words = [tokens.token(i) for i in range(8, tokens.vocab_size)]
    self.assertEqual(words, sorted(words))

  def test_order_depends_on_the_set_of_words_alone(self):
    one = vocabulary.build_tokenizer(WORLD, ['zebra', 'The', '7', 'The'])
    two = vocabulary.build_tokenizer(
      facts.make_world(9), ['7', 'The', 'zebra', 'anna', '<|sep|>']
    )
    self.assertEqual(one.digest(), two.digest())
    bare = vocabulary.build_tokenizer(WORLD, [])
    self.assertEqual(one.vocab_size, bare.vocab_size + 3)
    self.assertNotEqual(one.digest(), bare.digest())

  def test_one_token_a_word_of_the_corpus(self):
    tokens = vocabulary.build_tokenizer(WORLD, [])
    known = facts.known_facts(WORLD, 1)
    for index in range(100):
      words = corpus.document(WORLD, known, 1, index, 64).words
      text = ' '.join(words)
      ids = tokens.encode(text)
      self.assertEqual(ids, [tokens.id_of(word) for word in words])
      self.assertEqual(tokens.decode(ids), text)

  def test_every_word_of_the_corpus_and_no_other(self):
    known = facts.known_facts(WORLD, 1)
    found = set()
    for index in range(300):
      found.update(corpus.document(WORLD, known, 1, index, 64).words)
    self.assertEqual(vocabulary.corpus_words(WORLD), tuple(sorted(found)))

  def test_refuses_extra_words_that_would_be_split(self):
    for word in ('most likely', 'end.', ''):
      with self.assertRaisesRegex(errors.InputError, f'{word!r}.*one word'):
        vocabulary.build_tokenizer(WORLD, [word])


if __name__ == '__main__':
  absltest.main()
