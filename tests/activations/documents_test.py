# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of documents as prompts."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.activations import documents
from selfexplain_jax.data import corpora
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.worlds.biographies import pretraining

CORPUS = pretraining.Corpus(
  corpus_seed=0, known_seed=0, people=48, world_seed=0
)
TOKENIZER = CORPUS.tokenizer(())


def _documents(start: int, count: int) -> prompts_lib.Prompts:
  return documents.documents(
    corpora.Biographies(CORPUS, TOKENIZER),
    TOKENIZER,
    start=start,
    count=count,
    length=12,
  )


class DocumentsTest(parameterized.TestCase):
  def test_they_are_rows_of_the_corpus(self):
    made = _documents(70, 17)
    self.assertLen(made, 17)
    for i, ids in enumerate(made.ids):
      row = CORPUS.row(TOKENIZER, 12, 70 + i)
      self.assertEqual(ids, row['tokens'].tolist())
      np.testing.assert_array_equal(made.weights[i], row['weights'])
      self.assertEqual(TOKENIZER.encode_prompt(made.text[i]), ids)
      self.assertEqual(made.group[i], f'document {70 + i}')

  @parameterized.parameters((1, 1), (8, 1), (9, 2), (17, 3))
  def test_the_last_eighth_is_held_out(self, count, held_out):
    made = _documents(0, count)
    self.assertEqual(
      made.split, ['train'] * (count - held_out) + ['validation'] * held_out
    )

  def test_written_and_read(self):
    folder = self.create_tempdir().full_path
    made = _documents(3, 4)
    prompts_lib.write(made, folder)
    found = prompts_lib.read(folder)
    self.assertEqual(found.ids, made.ids)
    self.assertEqual(found.positions, {})
    for one, expected in zip(found.weights, made.weights, strict=True):
      np.testing.assert_array_equal(one, expected)


if __name__ == '__main__':
  absltest.main()
