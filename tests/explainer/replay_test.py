# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of replayed rows beside questions."""

import pathlib

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.explainer import replay
from selfexplain_jax.worlds.biographies import pretraining
from tests.data import fixtures
from tests.data import text_sources
from tests.models import byte_pairs

STEPS, BATCH, LENGTH = 5, 3, 24
CORPUS = pretraining.Corpus(
  corpus_seed=3, known_seed=1, people=48, world_seed=0
)


class ReplayTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    CORPUS.save(self.folder)

  def config(self, batch=BATCH):
    config = ml_collections.ConfigDict()
    config.initial = self.folder
    config.replay = dict(batch=batch, weight=0.5)
    config.row_length, config.steps = LENGTH, STEPS
    return config

  def rows(self, batch=BATCH):
    return replay.rows(self.config(batch), fixtures.TOKENIZER)

  def test_are_the_rows_of_the_initial_models_own_corpus(self):
    batches = list(self.rows()(0))
    self.assertLen(batches, STEPS)
    for step, batch in enumerate(batches):
      for row in range(BATCH):
        expected = CORPUS.row(fixtures.TOKENIZER, LENGTH, step * BATCH + row)
        for name in ('tokens', 'weights'):
          np.testing.assert_array_equal(batch[name][row], expected[name])

  def test_go_on_where_a_run_was_left(self):
    whole, rest = list(self.rows()(0)), list(self.rows()(3))
    self.assertLen(rest, 2)
    for expected, batch in zip(whole[3:], rest, strict=True):
      np.testing.assert_array_equal(batch['tokens'], expected['tokens'])

  def test_text_is_of_the_first_rows(self):
    tokens, present = replay.text(self.config(), fixtures.TOKENIZER, 7)
    self.assertEqual(tokens.shape, (7, LENGTH))
    self.assertTrue(present.all())
    for row in range(7):
      expected = CORPUS.row(fixtures.TOKENIZER, LENGTH, row)['tokens']
      np.testing.assert_array_equal(tokens[row], expected)

  def text_config(self, texts):
    name = pathlib.Path(self.create_tempdir().full_path) / 'texts.jsonl'
    text_sources.write(name, texts)
    config = self.config()
    config.corpus = dict(files=str(name), field='text')
    return config

  def test_text_files_in_place_of_the_own_corpus(self):
    config = self.text_config(byte_pairs.TEXTS * BATCH * STEPS)
    tokenizer = byte_pairs.tokenizer()
    for batch in replay.rows(config, tokenizer)(0):
      for row, text in enumerate(byte_pairs.TEXTS):
        ids = tokenizer.encode_document(text)[:LENGTH]
        padding = [0] * (LENGTH - len(ids))
        self.assertEqual(batch['tokens'][row].tolist(), ids + padding)
        self.assertEqual(batch['weights'][row].sum(), len(ids))
    tokens, present = replay.text(config, tokenizer, 2)
    for row, text in enumerate(byte_pairs.TEXTS[:2]):
      ids = tokenizer.encode_document(text)[:LENGTH]
      self.assertEqual(tokens[row][present[row]].tolist(), ids)

  def test_refuses_fewer_documents_than_are_replayed(self):
    config = self.text_config(byte_pairs.TEXTS)
    with self.assertRaisesRegex(
      errors.InputError, 'has 3 documents: expected at least 15, replay.batch=3'
    ):
      replay.rows(config, byte_pairs.tokenizer())

  def test_no_rows_are_no_replay(self):
    self.assertIsNone(self.rows(batch=0))

  def test_refuses_an_initial_model_without_a_corpus(self):
    self.folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(errors.InputError, 'pretraining corpus'):
      self.rows()


class MixedTest(absltest.TestCase):
  @staticmethod
  def batches(name, steps=4):
    return lambda done: ({name: i} for i in range(done, steps))

  def test_each_step_has_both(self):
    made = replay.mixed(self.batches('a'), self.batches('b'), 2)
    self.assertEqual(
      list(made), [{'a': 2, 'replay': {'b': 2}}, {'a': 3, 'replay': {'b': 3}}]
    )

  def test_without_replay_the_questions_come_alone(self):
    made = replay.mixed(self.batches('a'), None, 3)
    self.assertEqual(list(made), [{'a': 3}])

  def test_refuses_replay_that_ends_too_soon(self):
    with self.assertRaises(ValueError):
      list(replay.mixed(self.batches('a'), self.batches('b', 3), 0))


if __name__ == '__main__':
  absltest.main()
