# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of rotated models against the models that they were made from."""

import functools
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import patch
from selfexplain_jax.interventions import run
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import generate
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import rotation
from selfexplain_jax.models import sites as sites_lib
from tests.data import fixtures
from tests.models import tiny

# All have grouped queries, and gains that are not 1.
_MODELS = (
  ('llama', dict(tied=False)),
  ('llama_tied', dict(tied=True, rope_scaling=tiny.SCALING)),
  ('qwen3', dict(tied=False, query_key_norm=True)),
  ('qwen3_tied', dict(tied=True, query_key_norm=True)),
)
_SEED = 5
_TOKENS = np.random.default_rng(0).integers(0, 40, (3, 9)).astype(np.int32)
_LENGTH = np.array([9, 4, 7], np.int32)


@jax.jit
def _forward(model, tokens, tap):
  hidden, kept = decoder.forward(model, tokens, tap=tap)
  return decoder.unembed(model, hidden), kept


def _sites(model):
  tap = capture_lib.build(
    model.config,
    tuple(site.name for site in sites_lib.SITES),
    tuple(range(model.config.layers)),
    np.broadcast_to(np.arange(_TOKENS.shape[1]), _TOKENS.shape),
  )
  return jax.device_get(_forward(model, _TOKENS, tap))


def _assert_equal(found, expected):
  """Bit by bit, and the same module."""
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  jax.tree.map(np.testing.assert_array_equal, found, expected)


class MatrixTest(absltest.TestCase):
  def test_is_orthogonal_and_follows_from_its_seed(self):
    basis = rotation.rotation_matrix(24, 1)
    self.assertEqual(basis.dtype, np.float64)
    np.testing.assert_allclose(basis.T @ basis, np.eye(24), atol=1e-13)
    np.testing.assert_array_equal(basis, rotation.rotation_matrix(24, 1))
    other = rotation.rotation_matrix(24, 2)
    self.assertGreater(np.abs(basis - other).max(), 0.5)

  def test_is_drawn_evenly(self):
    draws = np.stack([rotation.rotation_matrix(3, i) for i in range(400)])
    # Of an even draw each entry has mean 0 and variance 1/3: these bounds are
    # four standard errors. A bare QR has entries of one sign alone, and
    # determinants too.
    self.assertLess(np.abs(draws.mean(0)).max(), 4 * (1 / 3 / 400) ** 0.5)
    self.assertLess(abs(np.linalg.det(draws).mean()), 4 * 400**-0.5)
    np.testing.assert_allclose((draws**2).mean(0), 1 / 3, atol=0.06)


class RotateTest(parameterized.TestCase):
  @parameterized.named_parameters(*_MODELS)
  def test_is_the_same_function_in_other_coordinates(self, changes):
    model = tiny.model(**changes)
    rotated = rotation.rotate(model, _SEED)
    basis = rotation.rotation_matrix(model.config.width, _SEED)
    logits, expected = _sites(model)
    found_logits, found = _sites(rotated)
    np.testing.assert_allclose(found_logits, logits, 0, 1e-4)
    self.assertGreater(logits.std(), 1)

    gain = np.asarray(model.final_norm[...])
    expected['final_norm'] = expected['final_norm'] / gain[None, None, :]
    self.assertLen(found, len(sites_lib.SITES))
    for site, value in found.items():
      np.testing.assert_allclose(
        value, expected[site] @ basis, 0, 1e-4, err_msg=site
      )
      self.assertGreater(np.abs(value - expected[site]).max(), 1, site)

    for name in ('attention_norm', 'mlp_norm'):
      self.assertTrue(np.all(getattr(rotated.layers, name)[...] == 1))
    self.assertTrue(np.all(rotated.final_norm[...] == 1))
    self.assertFalse(rotated.config.tied)

  @parameterized.named_parameters(*_MODELS[2:3])
  def test_greedy_tokens_are_equal(self, changes):
    model = tiny.model(layers=2, **changes)
    grown, expected = (
      generate.generate(
        m,
        jnp.asarray(_TOKENS),
        jnp.asarray(_LENGTH),
        new_tokens=6,
        end_id=-1,
      )
      for m in (rotation.rotate(model, _SEED), model)
    )
    np.testing.assert_array_equal(grown.tokens, expected.tokens)
    self.assertGreater(len(np.unique(expected.tokens)), 2)

  def test_a_rotated_patch_does_the_same(self):
    model = tiny.model()
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(3, 1, 16)).astype(np.float32) * 3
    basis = rotation.rotation_matrix(16, _SEED)

    def logits(model, vectors):
      one = np.ones((3, 1), np.int32)
      patches = patch.build('resid_post', one, one, one * 2, vectors)
      made = run.run(model, _TOKENS, _LENGTH, patches, keep_logits=True)
      return np.asarray(made.logits)

    rotated = rotation.rotate(model, _SEED)
    expected = logits(model, vectors)
    np.testing.assert_allclose(
      logits(rotated, vectors @ basis), expected, 0, 1e-4
    )
    self.assertGreater(np.abs(logits(rotated, vectors) - expected).max(), 0.1)

  @parameterized.named_parameters(*_MODELS)
  def test_the_identity_only_folds_the_gains(self, changes):
    model = tiny.model(**changes)
    folded = rotation.change_basis(model, np.eye(16))
    for name, norm in (('query', 'attention_norm'), ('up', 'mlp_norm')):
      gain_LxD = np.asarray(getattr(model.layers, norm)[...])
      np.testing.assert_array_equal(
        getattr(folded.layers, name)[...],
        gain_LxD[:, :, None] * np.asarray(getattr(model.layers, name)[...]),
      )
    for name in ('output', 'down'):
      np.testing.assert_array_equal(
        getattr(folded.layers, name)[...], getattr(model.layers, name)[...]
      )
    np.testing.assert_array_equal(folded.embedding[...], model.embedding[...])
    _assert_equal(rotation.change_basis(folded, np.eye(16)), folded)

  def test_turns_back(self):
    folded = rotation.change_basis(tiny.model(query_key_norm=True), np.eye(16))
    basis = rotation.rotation_matrix(16, _SEED)
    back = rotation.change_basis(rotation.rotate(folded, _SEED), basis.T)
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6),
      back,
      folded,
    )

  def test_leaves_the_model_as_it_was_and_shares_nothing_with_it(self):
    model = tiny.model(query_key_norm=True, tied=True)
    before = jax.tree.map(np.array, model)
    rotated = rotation.rotate(model, _SEED)
    for leaf in jax.tree.leaves(rotated):
      leaf.delete()
    _assert_equal(model, before)


class RefusalTest(parameterized.TestCase):
  @parameterized.parameters('dtype', 'parameter_dtype')
  def test_other_dtypes(self, name):
    with self.assertRaisesRegex(errors.InputError, f' {name}=bfloat16.*float3'):
      rotation.rotate(tiny.model(**{name: 'bfloat16'}), _SEED)

  def test_parameters_that_are_not_known(self):
    model = tiny.model()
    model.layers.output_bias = nnx.Param(jnp.zeros((3, 16)))
    with self.assertRaisesRegex(errors.InputError, 'layers.output_bias'):
      rotation.rotate(model, _SEED)
    model = tiny.model()
    model.position_table = nnx.Param(jnp.zeros((9, 16)))
    with self.assertRaisesRegex(errors.InputError, 'position_table.*embedding'):
      rotation.rotate(model, _SEED)

  def test_norms_of_what_is_added(self):
    with self.assertRaisesRegex(errors.InputError, 'Gemma 2.*Llama or Qwen3'):
      rotation.rotate(tiny.model(**tiny.gemma2(2)), _SEED)

  @parameterized.parameters(
    (np.eye(8),), (np.ones((16, 16)),), (np.eye(16)[:, :9],)
  )
  def test_a_basis_that_does_not_fit(self, basis):
    with self.assertRaisesRegex(errors.InputError, 'of 16 by 16'):
      rotation.change_basis(tiny.model(), basis)


class DirectoryTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = pathlib.Path(self.create_tempdir().full_path)
    self.source, self.destination = folder / 'source', folder / 'rotated'
    self.mesh = mesh_lib.make_mesh()

  @parameterized.named_parameters(*_MODELS)
  def test_comes_back(self, changes):
    vocabulary = fixtures.TOKENIZER.vocab_size
    model = tiny.model(vocabulary=vocabulary, **changes)
    artefact.save(model, fixtures.TOKENIZER, self.source)
    note = '{"world_seed": 3}'
    (self.source / 'pretraining.json').write_text(note)
    made = rotation.rotate_directory(self.source, self.destination, _SEED)
    loaded, tokenizer = artefact.load(self.destination, self.mesh)
    _assert_equal(loaded, made)
    _assert_equal(loaded, rotation.rotate(model, _SEED))
    self.assertEqual(tokenizer.digest(), fixtures.TOKENIZER.digest())
    copied = (self.destination / 'pretraining.json').read_text()
    self.assertEqual(copied, note)

  def test_without_a_seed_gains_are_folded_and_nothing_turns(self):
    huggingface.save(tiny.model(tied=True), self.source, eos_id=2)
    made = rotation.rotate_directory(self.source, self.destination, None)
    _assert_equal(
      made, rotation.change_basis(tiny.model(tied=True), np.eye(16))
    )
    self.assertFalse(made.config.tied)

  def test_a_model_of_token_ids_alone_stays_one(self):
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), tiny.model())
    huggingface.save(half, self.source, bos_id=None, eos_id=2)
    rotation.rotate_directory(self.source, self.destination, _SEED)
    self.assertEqual(
      sorted(path.name for path in self.destination.iterdir()),
      ['config.json', 'model.safetensors'],
    )
    self.assertEqual(huggingface.read_token_ids(self.destination), (None, 2))
    # Whatever the source was stored in.
    config = huggingface.read_config(self.destination)
    self.assertEqual(config.parameter_dtype, 'float32')

  def test_refuses_a_destination_with_a_model(self):
    huggingface.save(tiny.model(), self.source, eos_id=2)
    with self.assertRaisesRegex(errors.InputError, 'holds a model already'):
      rotation.rotate_directory(self.source, self.source, _SEED)

  @parameterized.parameters('explainer.json', 'nothing')
  def test_refuses_what_is_no_target(self, name):
    self.source.mkdir()
    (self.source / name).write_text('{}')
    with self.assertRaises(errors.InputError):
      rotation.rotate_directory(self.source, self.destination, _SEED)
    self.assertFalse(self.destination.exists())

  def test_one_cut_short_is_no_model_and_is_written_again(self):
    huggingface.save(tiny.model(), self.source, eos_id=2)
    self.destination.mkdir()
    (self.destination / 'model.safetensors').write_bytes(b'cut')
    with self.assertRaises(errors.InputError):
      artefact.load(self.destination, self.mesh)
    made = rotation.rotate_directory(self.source, self.destination, _SEED)
    _assert_equal(artefact.load(self.destination, self.mesh)[0], made)


if __name__ == '__main__':
  absltest.main()
