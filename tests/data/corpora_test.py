# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of corpora: what is read, padded, and passed over."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import corpora
from selfexplain_jax.worlds.biographies import pretraining
from tests.data import fixtures
from tests.data import text_sources
from tests.models import byte_pairs

LENGTHS = (5, 1, 7, 4, 9, 2)


class Unequal:
  """Document i has the tokens 100 i + 1, 100 i + 2, …, as many as it has."""

  name = 'a corpus of six'

  def document(self, index: int, length: int) -> corpora.Document:
    ids = [100 * index + n for n in range(1, LENGTHS[index] + 1)][:length]
    return corpora.Document(ids, np.full(len(ids), 0.5, np.float32))

  def count(self, most: int) -> int:
    return min(most, len(LENGTHS))


class CorporaTest(parameterized.TestCase):
  def test_read_yields_documents_in_order_cut_to_the_length(self):
    found = list(corpora.read(Unequal(), 1, 3, 4))
    self.assertEqual(
      [one.ids for one in found],
      [[101], [201, 202, 203, 204], [301, 302, 303, 304]],
    )

  def test_more_documents_than_there_are(self):
    self.assertLen(list(corpora.read(Unequal(), 2, 4, 4)), 4)
    with self.assertRaisesRegex(
      errors.InputError,
      'a corpus of six has 6 documents: expected at least 7, 5 from document 2',
    ):
      next(corpora.read(Unequal(), 2, 5, 4))

  def test_whole_passes_over_short_documents(self):
    found, end = corpora.whole(Unequal(), 0, 3, 4)
    np.testing.assert_array_equal(found[:, 0], [1, 201, 301])
    self.assertEqual((found.shape, end), ((3, 4), 4))
    rest, end = corpora.whole(Unequal(), end, 1, 4)
    self.assertEqual((rest[0, 0], end), (401, 5))

  def test_too_few_whole_documents(self):
    with self.assertRaisesRegex(
      errors.InputError, 'has 2 documents of at least 7 tokens .* expected 3'
    ):
      corpora.whole(Unequal(), 0, 3, 7)

  @parameterized.parameters((0, 5), (1, 1), (2, 6))
  def test_padding_weighs_nothing(self, index, kept):
    row = corpora.row(Unequal(), 6, index)
    for name, dtype in (('tokens', np.int32), ('weights', np.float32)):
      self.assertEqual((row[name].shape, row[name].dtype), ((6,), dtype))
      self.assertTrue(np.all(row[name][:kept]))
      self.assertFalse(np.any(row[name][kept:]))

  def test_documents_of_a_world_are_the_rows_of_its_corpus(self):
    made = pretraining.Corpus(
      corpus_seed=2, known_seed=1, people=48, world_seed=0
    )
    tokenizer = made.tokenizer(())
    folder = self.create_tempdir().full_path
    made.save(folder)
    corpus = corpora.of_model(folder, tokenizer)
    self.assertEqual(corpus.count(10**9), 10**9)
    self.assertEqual(corpus.note(3)['corpus_seed'], 2)
    expected = made.row(tokenizer, 20, 11)
    for name, value in corpora.row(corpus, 20, 11).items():
      self.assertEqual(value.dtype, expected[name].dtype)
      np.testing.assert_array_equal(value, expected[name])
    self.assertLen(corpus.prompts(), len(made.prompts(tokenizer)))
    # Text files where a configuration names some, that corpus elsewhere.
    config = ml_collections.ConfigDict()
    own = corpora.named(config, folder, tokenizer)
    self.assertEqual(own.document(11, 20).ids, expected['tokens'].tolist())
    name = text_sources.write(pathlib.Path(folder) / 'a.txt', ['. , .'])
    config.corpus = dict(files=str(name), field='')
    named = corpora.named(config, folder, tokenizer)
    self.assertEqual(
      named.document(0, 20).ids, tokenizer.encode_prompt('. , .')
    )

  @parameterized.parameters(True, False)
  def test_text_is_cut_and_special_tokens_in_it_are_none(self, bos):
    tokenizer = byte_pairs.tokenizer(bos)
    folder = pathlib.Path(self.create_tempdir().full_path)
    text_sources.write(folder / 'a.jsonl', ['the <|eot_id|> <|bos|> mill'])
    corpus = corpora.of_files(f'{folder}/*', 'text', tokenizer)
    found, weights = corpus.document(0, 100)
    self.assertEqual(tokenizer.decode(found), 'the <|eot_id|> <|bos|> mill')
    self.assertEqual(found.count(tokenizer.id_of('<|bos|>')), int(bos))
    self.assertNotIn(tokenizer.eos_id, found)
    np.testing.assert_array_equal(weights, np.ones(len(found), np.float32))
    self.assertEqual(corpus.document(0, 5).ids, found[:5])
    self.assertIsNone(corpus.prompts())

  def test_unknown_word_is_named_with_its_record(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    text_sources.write(folder / 'a.txt', ['. .'])
    text_sources.write(folder / 'b.txt', ['.', '. qwertz'])
    corpus = corpora.of_files(f'{folder}/*', '', fixtures.TOKENIZER)
    self.assertLen(corpus.document(1, 9).ids, 2)
    with self.assertRaisesRegex(
      errors.InputError, "b.txt: record 1, counted from 0, word 'qwertz'"
    ):
      corpus.document(2, 9)


if __name__ == '__main__':
  absltest.main()
