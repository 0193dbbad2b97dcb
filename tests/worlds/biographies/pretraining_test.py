# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the note of what a model has read."""

import dataclasses

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.worlds.biographies import corpus as corpus_lib
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import pretraining

CORPUS = pretraining.Corpus(
  corpus_seed=5, known_seed=6, people=60, world_seed=7
)


class CorpusTest(absltest.TestCase):
  def test_each_seed_has_its_use(self):
    self.assertEqual(CORPUS.world, facts.make_world(7, 60))
    np.testing.assert_array_equal(
      CORPUS.known, facts.known_facts(facts.make_world(7, 60), 6)
    )
    tokenizer = CORPUS.tokenizer(2)
    row = CORPUS.row(tokenizer, 30, 3)
    expected = corpus_lib.row(CORPUS.world, CORPUS.known, tokenizer, 5, 3, 30)
    self.assertEqual(row.keys(), expected.keys())
    for name, field in row.items():
      np.testing.assert_array_equal(field, expected[name])

  def test_row_depends_on_its_index_and_every_seed(self):
    tokenizer = CORPUS.tokenizer(2)
    rows = [CORPUS.row(tokenizer, 30, i)['tokens'].tolist() for i in range(3)]
    for name in ('corpus_seed', 'known_seed', 'world_seed', 'people'):
      value = getattr(CORPUS, name) + 1
      other = dataclasses.replace(CORPUS, **{name: value})
      rows.append(other.row(tokenizer, 30, 0)['tokens'].tolist())
    self.assertLen(set(map(tuple, rows)), len(rows))

  def test_tokenizer_writes_questions_on_every_layer(self):
    tokenizer = CORPUS.tokenizer(3)
    text = 'The most likely output at layers 0 to 2'
    self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)
    with self.assertRaises(errors.InputError):
      tokenizer.encode('at layers 3')
    self.assertNotEqual(tokenizer.digest(), CORPUS.tokenizer(4).digest())

  def test_prompts_are_those_of_its_world(self):
    prompts = CORPUS.prompts(CORPUS.tokenizer(2))
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
