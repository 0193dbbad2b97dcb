# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the note of what a model has read."""

import dataclasses

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import corpus as corpus_lib
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import pretraining

CORPUS = pretraining.Corpus(
  corpus_seed=5, known_seed=6, people=60, world_seed=7
)
QUESTION_WORDS = ('The', 'most', 'likely', 'output', 'at', 'layers', '0', 'to')


class CorpusTest(absltest.TestCase):
  def test_each_seed_has_its_use(self):
    self.assertEqual(CORPUS.world, facts.make_world(7, 60))
    np.testing.assert_array_equal(
      CORPUS.known, facts.known_facts(facts.make_world(7, 60), 6)
    )
    tokenizer = CORPUS.tokenizer(QUESTION_WORDS)
    row = CORPUS.row(tokenizer, 30, 3)
    expected = corpus_lib.row(CORPUS.world, CORPUS.known, tokenizer, 5, 3, 30)
    self.assertEqual(row.keys(), expected.keys())
    for name, field in row.items():
      np.testing.assert_array_equal(field, expected[name])

  def test_row_depends_on_its_index_and_every_seed(self):
    tokenizer = CORPUS.tokenizer(QUESTION_WORDS)
    rows = [CORPUS.row(tokenizer, 30, i)['tokens'].tolist() for i in range(3)]
    for name in ('corpus_seed', 'known_seed', 'world_seed', 'people'):
      value = getattr(CORPUS, name) + 1
      other = dataclasses.replace(CORPUS, **{name: value})
      rows.append(other.row(tokenizer, 30, 0)['tokens'].tolist())
    self.assertLen(set(map(tuple, rows)), len(rows))

  def test_tokenizer_writes_documents_questions_and_descriptions(self):
    tokenizer = CORPUS.tokenizer(QUESTION_WORDS)
    row = CORPUS.row(tokenizer, 30, 0)['tokens'].tolist()
    texts = [' '.join(QUESTION_WORDS), tokenizer.decode(row)]
    texts += [c.description for c in concepts.all_concepts(CORPUS.world)]
    for text in texts:
      self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)

  def test_tokenizer_has_the_words_of_the_questions_that_are_named(self):
    tokenizer = CORPUS.tokenizer(QUESTION_WORDS)
    with self.assertRaises(errors.InputError):
      tokenizer.encode('at layers 3')
    other = CORPUS.tokenizer((*QUESTION_WORDS, '3'))
    self.assertLen(other.encode('at layers 3'), 3)
    self.assertNotEqual(tokenizer.digest(), other.digest())
    # Neither the order nor a word twice makes another one.
    again = CORPUS.tokenizer((*reversed(QUESTION_WORDS), 'to'))
    self.assertEqual(tokenizer.digest(), again.digest())

  def test_prompts_are_those_of_its_world(self):
    prompts = CORPUS.prompts(CORPUS.tokenizer(QUESTION_WORDS))
    self.assertLen(prompts, 60 * 5 * 3)
    self.assertEqual(prompts.group[0], CORPUS.world.people[0].name)
    self.assertEqual(
      prompts.known.tolist(), np.repeat(CORPUS.known, 3).tolist()
    )


class NoteTest(absltest.TestCase):
  def test_comes_back(self):
    folder = self.create_tempdir().full_path
    CORPUS.save(folder)
    self.assertEqual(pretraining.load(folder), CORPUS)

  def test_is_refused_where_there_is_none(self):
    folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(errors.InputError, 'pretraining corpus'):
      pretraining.load(folder)

  def test_is_refused_with_other_fields(self):
    folder = self.create_tempdir().full_path
    note = dataclasses.asdict(CORPUS)
    for changed in ({**note, 'more': 1}, {'corpus_seed': 5}):
      files.write_json(files.path(folder) / 'pretraining.json', changed)
      with self.assertRaisesRegex(errors.InputError, 'is not a corpus'):
        pretraining.load(folder)


if __name__ == '__main__':
  absltest.main()
