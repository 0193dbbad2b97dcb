# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of documents as prompts."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.activations import documents
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.worlds.biographies import pretraining

CORPUS = pretraining.Corpus(
  corpus_seed=0, known_seed=0, people=48, world_seed=0
)
TOKENIZER = CORPUS.tokenizer(())


def _row(index: int) -> dict[str, np.ndarray]:
  return CORPUS.row(TOKENIZER, 12, index)


class DocumentsTest(parameterized.TestCase):
  def test_they_are_rows_of_the_corpus(self):
    made = documents.documents(_row, TOKENIZER, start=70, count=17)
    self.assertLen(made, 17)
    for i, ids in enumerate(made.ids):
      self.assertEqual(ids, _row(70 + i)['tokens'].tolist())
      self.assertEqual(TOKENIZER.encode_prompt(made.text[i]), ids)
      self.assertEqual(made.group[i], f'document {70 + i}')

  @parameterized.parameters((1, 1), (8, 1), (9, 2), (17, 3))
  def test_the_last_eighth_is_held_out(self, count, held_out):
    made = documents.documents(_row, TOKENIZER, start=0, count=count)
    self.assertEqual(
      made.split, ['train'] * (count - held_out) + ['validation'] * held_out
    )

  def test_written_and_read(self):
    folder = self.create_tempdir().full_path
    made = documents.documents(_row, TOKENIZER, start=3, count=4)
    prompts_lib.write(made, folder)
    found = prompts_lib.read(folder)
    self.assertEqual(found.ids, made.ids)
    self.assertEqual(found.positions, {})


if __name__ == '__main__':
  absltest.main()
