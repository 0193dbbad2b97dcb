# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of explainers on disk."""

import dataclasses
import json

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import explainer
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import layer_blocks
from tests.data import fixtures
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
EXPLAINER = explainer.Explainer(
  model=tiny.model(layers=1, vocabulary=TOKENIZER.vocab_size),
  tokenizer=TOKENIZER,
  injection=injection.Injection(
    'replace_embedding_scaled', TOKENIZER.vector_id, 0.1 + 0.2
  ),
  phrasings={'patching': ('{patched} ?', '<<<{text}>>> ü'), 'features': ()},
)
RNG = np.random.default_rng(0)
# One that learnt about vectors of another width from two layer blocks.
LEARNT = dataclasses.replace(
  EXPLAINER,
  injection=injection.Injection(
    'scale_and_bias',
    TOKENIZER.vector_id,
    0.1 + 0.2,
    layer_blocks=layer_blocks.LayerBlocks(((0, 1), (2, 5))),
    parameters=injection.place(
      {
        'scale': RNG.normal(size=2),
        'bias': RNG.normal(size=(2, 16)),
        'projection': RNG.normal(size=(2, 16, 10)),
      }
    ),
  ),
)


class ExplainerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = files.path(self.create_tempdir().full_path) / 'model'
    self.note = self.folder / 'explainer.json'
    self.learnt = self.folder / 'injection.safetensors'
    EXPLAINER.save(self.folder, {'step': 3})

  def test_its_model_alone_is_of_the_dtype(self):
    LEARNT.save(self.folder, {})
    mesh = mesh_lib.make_mesh()
    loaded = explainer.load(self.folder, mesh, 'bfloat16')
    self.assertEqual(loaded.model.config.dtype, 'bfloat16')
    for leaf in jax.tree.leaves(loaded.model):
      self.assertEqual(leaf.dtype, 'bfloat16')
    for value in loaded.injection.parameters.arrays().values():
      self.assertEqual(value.dtype, 'float32')

  def load(self):
    return explainer.load(self.folder, mesh_lib.make_mesh())

  def test_comes_back(self):
    again = self.load()
    jax.tree.map(np.testing.assert_array_equal, again.model, EXPLAINER.model)
    self.assertEqual(again.tokenizer.digest(), TOKENIZER.digest())
    # To the bit, for answers must not change.
    self.assertEqual(again.injection, EXPLAINER.injection)
    self.assertFalse(self.learnt.exists())
    self.assertEqual(again.phrasings, EXPLAINER.phrasings)
    self.assertEqual(json.loads(self.note.read_text())['training'], {'step': 3})
    self.assertEqual(explainer.training(self.folder), {'step': 3})

  def test_comes_back_with_what_it_learnt_about_vectors(self):
    LEARNT.save(self.folder, {})
    found, expected = self.load().injection, LEARNT.injection
    for name, value in expected.parameters.arrays().items():
      again = getattr(found.parameters, name)
      np.testing.assert_array_equal(again.get_value(), value, name)
      self.assertEqual(again.axes, getattr(expected.parameters, name).axes)
      self.assertEqual(again.get_value().sharding.mesh, mesh_lib.make_mesh())
    self.assertEqual(
      found.with_parameters(injection.NO_PARAMETERS),
      expected.with_parameters(injection.NO_PARAMETERS),
    )

  def test_refuses_a_folder_without_what_it_learnt(self):
    LEARNT.save(self.folder, {})
    stored = safetensors_numpy.load(self.learnt.read_bytes())
    for name, value in stored.items():
      shape = value.shape
      for wrong, message in (
        (None, f'tensor {name} is missing: expected shape'),
        (value[:1], f'tensor {name} has shape .*makes it'),
      ):
        changed = {**stored, name: wrong}
        if wrong is None:
          del changed[name]
        files.write_bytes(self.learnt, safetensors_numpy.save(changed))
        with self.assertRaisesRegex(
          errors.InputError, f'{self.learnt}: {message} \\({shape[0]},'
        ):
          self.load()
    files.write_bytes(self.learnt, b'half')
    with self.assertRaisesRegex(errors.InputError, 'not a whole safetensors'):
      self.load()
    self.learnt.unlink()
    with self.assertRaisesRegex(
      errors.InputError, f'{self.learnt} not found.*scale, bias, projection'
    ):
      self.load()

  def test_digest_is_of_all_that_answers_depend_on(self):
    def digest(explained, training):
      explained.save(self.folder, training)
      return explainer.digest(self.folder)

    first = digest(LEARNT, {'step': 3})
    self.assertEqual(digest(LEARNT, {'step': 4}), first)
    learnt = LEARNT.injection.parameters
    moved = jax.tree.map(lambda x: x + 1, learnt)
    other = tiny.model(seed=1, layers=1, vocabulary=TOKENIZER.vocab_size)
    for changed in (
      {'phrasings': {'patching': ('{patched}',)}},
      {'injection': LEARNT.injection.with_parameters(moved)},
      {'injection': dataclasses.replace(LEARNT.injection, norm=1.0)},
      {'model': other},
    ):
      self.assertNotEqual(
        digest(dataclasses.replace(LEARNT, **changed), {}), first, changed
      )

  def test_refuses_a_model_without_the_note(self):
    self.note.unlink()
    with self.assertRaisesRegex(
      errors.InputError, f'note of an explainer not found.*{self.note}'
    ):
      self.load()

  @parameterized.parameters(
    'injection', 'norm', 'layer_blocks', 'target_width', 'phrasings'
  )
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
