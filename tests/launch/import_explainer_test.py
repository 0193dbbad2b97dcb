# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of published explainers that are taken as one's own."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from experiments import published_explainer
from launch import import_explainer
from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from tests.models import text_tokenizers
from tests.models import tiny

_TARGET_WIDTH = 10
_TOKENS = """
continuous_tokens:
  begin_continuous: "<|reserved_special_token_11|>"
  end_continuous: "<|reserved_special_token_12|>"
  continuous_rep: "<|reserved_special_token_10|>"
"""
_YAML = (
  _TOKENS
  + """
train:
  tasks:
    features_explain:
      question_types:
        generative_explanation:
          prompts:
            - "At {layer}, {begin_continuous}{feature}{end_continuous} is "
            - "{begin_continuous}{feature}{end_continuous} of {layer}: "
"""
)


class ImportExplainerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.mesh = mesh_lib.make_mesh()
    self.base = self.folder / 'base'
    self.tokenizer = text_tokenizers.write_llama(self.base, chat=True)
    self.model = tiny.model(layers=2, vocabulary=self.tokenizer.vocab_size)
    artefact.save(self.model, self.tokenizer, self.base)
    self.yaml = self.folder / 'authors.yaml'
    self.yaml.write_text(_YAML)

  def config(self, checkpoint, **changes):
    config = published_explainer.get_config()
    config.checkpoint, config.phrasings = str(checkpoint), str(self.yaml)
    config.update(changes)
    return config

  def imported(self, checkpoint, **changes):
    out = self.folder / 'imported'
    import_explainer.run(self.config(checkpoint, **changes), str(out))
    return explainer_lib.load(out / 'model', self.mesh)

  def project(self):
    """Adds projections to the base's tensors, as full models have them."""
    weights = self.base / 'model.safetensors'
    tensors = safetensors_numpy.load_file(weights)
    rng = np.random.default_rng(0)
    shape = (self.model.config.width, _TARGET_WIDTH)
    made = [rng.normal(size=shape).astype(np.float32) for _ in range(3)]
    for layer, matrix in enumerate(made):
      tensors[f'embed_projs.{layer}.weight'] = matrix
    safetensors_numpy.save_file(tensors, weights, metadata={'format': 'pt'})
    return made

  def test_a_model_is_asked_as_its_authors_do(self):
    found = self.imported(self.base)
    self.assertEqual(
      dict(found.phrasings),
      {'features': ('At {layer}, {vector} is ', '{vector} of {layer}: ')},
    )
    self.assertEqual(found.injection.mode, 'replace_embedding')
    number = '<|reserved_special_token_{}|>'.format
    self.assertEqual(
      found.tokenizer.vector_text(), number(11) + number(10) + number(12)
    )
    self.assertEqual(
      found.injection.vector_id, self.tokenizer.id_of(number(10))
    )
    jax.tree.map(np.testing.assert_array_equal, found.model, self.model)
    self.assertFalse(
      (self.folder / 'imported/model/model.safetensors').exists()
    )

  def test_vectors_enter_raw_through_the_projection_of_their_layer(self):
    projections = self.project()
    found = self.imported(self.base)
    vector = np.random.default_rng(1).normal(size=(1, 1, _TARGET_WIDTH))
    tokens = np.array([[1, found.injection.vector_id]], np.int32)
    for layer in (0, 2):
      ids = found.injection.layer_blocks.ids([[[layer, layer]]])
      with jax.set_mesh(self.mesh):
        embedded, _ = injection_lib.inject(
          found.model,
          found.injection,
          jnp.asarray(tokens),
          jnp.asarray(vector, jnp.float32),
          jnp.asarray(ids),
        )
      np.testing.assert_allclose(
        embedded[0, 1], projections[layer] @ vector[0, 0], 1e-5, 1e-5
      )

  def test_an_adapter_is_merged_into_its_base(self):
    adapter = lora.initialize(self.model, 3, jax.random.key(0), self.mesh)
    rng = np.random.default_rng(2)
    adapter = jax.tree.map(
      lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), adapter
    )
    checkpoint = self.folder / 'adapter'
    peft.save(adapter, self.model, checkpoint, str(self.base))
    with self.assertRaisesRegex(errors.InputError, 'no tokenizer.json.*began'):
      self.imported(checkpoint)
    found = self.imported(checkpoint, tokenizer=str(self.base))
    expected = lora.adapt(self.model, adapter)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-4),
      found.model.layers,
      expected.layers,
    )

  def test_answers_end_where_the_authors_end_them(self):
    found, encode = self.imported(self.base), self.tokenizer.encode
    claim = 'The most likely output would change to <<<a\nb>>>.'
    for said, expected in (
      (f'{claim}\n\nThe <<<c>>>.', claim),
      ('names of rivers\nAt layer 3', 'names of rivers'),
      ('names of rivers [END] and', 'names of rivers'),
      (claim[:-2], 'The most likely output would change to <<<a'),
    ):
      self.assertEqual(found.answer(encode(said)), expected)
    (self.folder / 'imported').rename(self.folder / 'base_explainer')
    ended = self.imported(self.base, chat=True)
    self.assertEqual(ended.answer(encode('a\nb')), 'a\nb')

  def test_chats_that_begin_twice(self):
    found = self.imported(self.base, chat=True, doubled_bos=True)
    self.assertTrue(found.chat and found.doubled_bos)
    self.assertEqual(found.end_id, self.tokenizer.id_of('<|eot_id|>'))

  def test_what_it_depends_on(self):
    self.imported(self.base)
    out = self.folder / 'imported/model'
    digest = explainer_lib.digest(out)
    self.assertEqual(explainer_lib.training(out), {'published': str(self.base)})
    other = tiny.model(seed=5, layers=2, vocabulary=self.tokenizer.vocab_size)
    artefact.save(other, self.tokenizer, self.base)
    self.assertNotEqual(explainer_lib.digest(out), digest)

  @parameterized.named_parameters(
    ('no_tokens', _YAML.replace(_TOKENS, ''), 'no continuous_tokens.begin'),
    ('no_phrasings', _TOKENS, 'words no question of features or patching'),
    (
      'another_token',
      _YAML.replace('token_10', 'token_99'),
      'token_99.*not in the vocabulary',
    ),
  )
  def test_refuses_phrasings(self, content, message):
    self.yaml.write_text(content)
    with self.assertRaisesRegex(errors.InputError, message):
      self.imported(self.base)
    self.assertFalse((self.folder / 'imported').exists())

  def test_refuses_a_chat_without_a_template(self):
    (self.base / 'chat_template.jinja').unlink()
    text_tokenizers.write_llama(self.base)
    with self.assertRaisesRegex(errors.InputError, 'no chat template'):
      self.imported(self.base, chat=True)

  def test_dry_run_writes_nothing(self):
    out = self.folder / 'none'
    with self.assertLogs() as log:
      import_explainer.run(self.config(self.base), str(out), True)
    self.assertIn('2 layers', log.records[-1].getMessage())
    self.assertFalse(out.exists())


if __name__ == '__main__':
  absltest.main()
