# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of explainers on disk."""

import dataclasses
import json

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import explainer
from selfexplain_jax.explainer import injection
from tests.data import fixtures
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
EXPLAINER = explainer.Explainer(
  model=tiny.model(layers=1, vocabulary=TOKENIZER.vocab_size),
  tokenizer=TOKENIZER,
  injection=injection.Injection(
    'replace_embedding_scaled', TOKENIZER.vector_id, 0.1 + 0.2
  ),
  phrasings=('{patched} ?', '<<<{text}>>> ü'),
)


class ExplainerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = files.path(self.create_tempdir().full_path) / 'model'
    self.note = self.folder / 'explainer.json'
    EXPLAINER.save(self.folder, {'step': 3})

  def load(self):
    return explainer.load(self.folder, mesh_lib.make_mesh())

  def test_comes_back(self):
    again = self.load()
    jax.tree.map(np.testing.assert_array_equal, again.model, EXPLAINER.model)
    self.assertEqual(again.tokenizer.digest(), TOKENIZER.digest())
    # To the bit, for answers must not change.
    self.assertEqual(
      dataclasses.astuple(again.injection),
      dataclasses.astuple(EXPLAINER.injection),
    )
    self.assertEqual(again.phrasings, EXPLAINER.phrasings)
    self.assertEqual(json.loads(self.note.read_text())['training'], {'step': 3})
    self.assertEqual(explainer.training(self.folder), {'step': 3})

  def test_refuses_a_model_without_the_note(self):
    self.note.unlink()
    with self.assertRaisesRegex(
      errors.InputError, f'note of an explainer not found.*{self.note}'
    ):
      self.load()

  @parameterized.parameters('injection', 'norm', 'phrasings')
  def test_refuses_a_note_without_a_field(self, field):
    content = json.loads(self.note.read_text())
    del content[field]
    files.write_json(self.note, content)
    with self.assertRaisesRegex(
      errors.InputError, f"{self.note} lacks the field '{field}'"
    ):
      self.load()


if __name__ == '__main__':
  absltest.main()
