# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of model directories with and without a tokenizer."""

import pathlib

from absl.testing import absltest
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.data import fixtures
from tests.models import tiny

MODEL = tiny.model(layers=1, vocabulary=fixtures.TOKENIZER.vocab_size)


class ArtefactTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.mesh = mesh_lib.make_mesh()

  def test_comes_back(self):
    artefact.save(MODEL, fixtures.TOKENIZER, self.folder)
    model, tokenizer = artefact.load(self.folder, self.mesh)
    self.assertEqual(model.config, MODEL.config)
    jax.tree.map(np.testing.assert_array_equal, model, MODEL)
    self.assertEqual(tokenizer.digest(), fixtures.TOKENIZER.digest())
    self.assertEqual(
      huggingface.read_token_ids(self.folder),
      (tokenizer.bos_id, tokenizer.eos_id),
    )

  def test_a_model_without_a_tokenizer_gets_one_of_ids(self):
    huggingface.save(MODEL, self.folder, bos_id=1, eos_id=2)
    model, tokenizer = artefact.load(self.folder, self.mesh)
    self.assertEqual(tokenizer.encode('t0 t17 t5'), [0, 17, 5])
    self.assertEqual(tokenizer.decode([17, 5]), 't17 t5')
    self.assertEqual((tokenizer.bos_id, tokenizer.eos_id), (1, 2))
    self.assertGreater(tokenizer.vocab_size, model.config.vocabulary)

  def test_is_float32_whatever_is_stored(self):
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), MODEL)
    artefact.save(half, fixtures.TOKENIZER, self.folder)
    model, _ = artefact.load(self.folder, self.mesh)
    self.assertEqual(model.config.dtype, 'float32')
    for leaf in jax.tree.leaves(model):
      self.assertEqual(leaf.dtype, jnp.float32)

  def test_is_of_the_dtypes_that_are_asked_for(self):
    artefact.save(MODEL, fixtures.TOKENIZER, self.folder)
    for asked, expected in (
      (('bfloat16',), ('bfloat16', 'bfloat16')),
      (('bfloat16', 'float32'), ('bfloat16', 'float32')),
    ):
      model, _ = artefact.load(self.folder, self.mesh, *asked)
      config = model.config
      self.assertEqual((config.dtype, config.parameter_dtype), expected)
      for leaf in jax.tree.leaves(model):
        self.assertEqual(leaf.dtype, expected[1])

  def test_an_adapter_without_a_tokenizer_has_that_of_its_base(self):
    folder = pathlib.Path(self.folder)
    artefact.save(MODEL, fixtures.TOKENIZER, folder / 'base')
    adapter = lora.Lora(MODEL, 2, jax.random.key(0))
    place = folder / 'adapter'
    peft.save(adapter, MODEL, place, str(folder / 'base'))
    model, tokenizer = artefact.load(place, self.mesh)
    self.assertEqual(tokenizer.digest(), fixtures.TOKENIZER.digest())
    # A new adapter changes nothing.
    jax.tree.map(np.testing.assert_array_equal, model, MODEL)
    fixtures.TOKENIZER.save(place)
    (folder / 'base' / 'tokenizer.json').unlink()
    again = artefact.load_tokenizer(place)
    self.assertEqual(again.digest(), fixtures.TOKENIZER.digest())

  def test_refuses_an_unknown_dtype(self):
    artefact.save(MODEL, fixtures.TOKENIZER, self.folder)
    with self.assertRaisesRegex(errors.InputError, 'dtype=float8: expected'):
      artefact.load(self.folder, self.mesh, 'float8')

  def test_refuses_a_folder_without_a_model(self):
    with self.assertRaises(errors.InputError):
      artefact.load(self.folder, self.mesh)


if __name__ == '__main__':
  absltest.main()
