# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of injection against a loop over tokens."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.explainer import injection as injection_lib
from tests.models import tiny

VECTOR = 6
MODEL = tiny.model(layers=1)
TABLE = np.asarray(MODEL.embedding[...])
# Rows with all, some and none of their two vectors; the first vector comes
# first in one row and last in another.
TOKENS = np.array(
  [
    [VECTOR, 5, 7, VECTOR, 9],
    [1, 2, 3, 4, VECTOR],
    [1, 2, 3, 4, 5],
    [8, VECTOR, VECTOR, 8, 0],
  ],
  np.int32,
)
VECTORS = np.random.default_rng(0).normal(size=(4, 2, 16)).astype(np.float32)


REPLACING = ('replace_embedding', 'replace_embedding_scaled')


def _inject(mode, vectors=VECTORS, model=MODEL, tokens=TOKENS, norm=2.5):
  injection = injection_lib.Injection(mode, VECTOR, norm, block=1)
  return jax.jit(injection_lib.inject)(model, injection, tokens, vectors)


def _embed(mode, vectors=VECTORS, model=MODEL):
  shown, tap = _inject(mode, vectors, model)
  assert tap is None
  return np.asarray(shown)


class ReplaceTest(parameterized.TestCase):
  @parameterized.parameters(*REPLACING)
  def test_the_kth_vector_token_shows_the_kth_vector(self, mode):
    shown = _embed(mode)
    self.assertEqual(shown.shape, (4, 5, 16))
    for row, tokens in enumerate(TOKENS):
      vectors = iter(VECTORS[row])
      for at, token in enumerate(tokens):
        if token != VECTOR:
          # To the bit: the others are the model's own embeddings.
          np.testing.assert_array_equal(shown[row, at], TABLE[token])
          continue
        vector = next(vectors)
        if mode == 'replace_embedding':
          np.testing.assert_array_equal(shown[row, at], vector)
          continue
        length = np.linalg.norm(vector.astype(np.float64))
        np.testing.assert_allclose(
          shown[row, at], vector * (2.5 / length), rtol=1e-5
        )

  def test_scaling_keeps_the_direction_alone(self):
    small, large = (
      _embed('replace_embedding_scaled', VECTORS * np.float32(scale))
      for scale in (1e-3, 1e3)
    )
    np.testing.assert_allclose(small, large, rtol=1e-5)

  @parameterized.parameters(*REPLACING)
  def test_a_zero_vector_gives_zeros(self, mode):
    vectors = VECTORS.copy()
    vectors[0, 1] = 0
    shown = _embed(mode, vectors)
    np.testing.assert_array_equal(shown[0, 3], np.zeros(16))
    self.assertTrue(np.isfinite(shown).all())
    np.testing.assert_array_equal(shown[1:], _embed(mode)[1:])

  def test_is_in_the_dtype_of_the_model(self):
    model = tiny.model(layers=1, dtype='bfloat16')
    for mode in REPLACING:
      self.assertEqual(_embed(mode, model=model).dtype, jnp.bfloat16)

  @parameterized.parameters(*injection_lib.MODES)
  def test_without_vector_tokens_nothing_changes(self, mode):
    shown, tap = _inject(mode, VECTORS[2:3], tokens=TOKENS[2:3])
    np.testing.assert_array_equal(shown, TABLE[TOKENS[2:3]])
    if tap is not None:
      _, after = tap.visit(None, 'resid_post', jnp.int32(1), shown)
      np.testing.assert_array_equal(after, shown)


class AddTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.resid = np.random.default_rng(1).normal(size=(4, 5, 16))
    self.resid = self.resid.astype(np.float32)

  def _added(self, vectors=VECTORS, site='resid_post', layer=1):
    shown, tap = _inject('add_norm_matched', vectors)
    np.testing.assert_array_equal(shown, TABLE[TOKENS])
    _, after = tap.visit(None, site, jnp.int32(layer), jnp.asarray(self.resid))
    return np.asarray(after)

  def test_adds_each_vector_with_the_norm_of_what_is_there(self):
    after = self._added()
    for row, tokens in enumerate(TOKENS):
      vectors = iter(VECTORS[row].astype(np.float64))
      for at, token in enumerate(tokens):
        before = self.resid[row, at]
        if token != VECTOR:
          np.testing.assert_array_equal(after[row, at], before)
          continue
        vector = next(vectors)
        ratio = np.linalg.norm(before) / np.linalg.norm(vector)
        np.testing.assert_allclose(
          after[row, at], before + ratio * vector, rtol=1e-5, atol=1e-6
        )

  def test_of_other_lengths_is_the_same(self):
    np.testing.assert_allclose(
      self._added(VECTORS * np.float32(1e3)), self._added(), rtol=1e-5
    )

  def test_adds_nothing_at_other_sites_and_blocks(self):
    for site, layer in (('resid_post', 0), ('resid_post', 2), ('mlp_out', 1)):
      np.testing.assert_array_equal(
        self._added(site=site, layer=layer), self.resid
      )

  def test_a_zero_vector_adds_nothing_and_has_a_gradient(self):
    zeros = np.zeros_like(VECTORS)
    np.testing.assert_array_equal(self._added(zeros), self.resid)

    def total(resid, vectors):
      injection = injection_lib.Injection('add_norm_matched', VECTOR, 1.0)
      _, tap = injection_lib.inject(MODEL, injection, TOKENS, vectors)
      return jnp.sum(tap.visit(None, 'resid_post', jnp.int32(0), resid)[1] ** 2)

    for gradient in jax.grad(total, (0, 1))(np.zeros_like(self.resid), zeros):
      self.assertTrue(np.isfinite(gradient).all())


class MakeTest(absltest.TestCase):
  def test_norm_is_the_mean_norm_of_the_embeddings(self):
    expected = sum(sum(x * x for x in row) ** 0.5 for row in TABLE.tolist())
    for mode in injection_lib.MODES:
      made = injection_lib.make(mode, MODEL, VECTOR)
      self.assertEqual((made.mode, made.vector_id), (mode, VECTOR))
      self.assertEqual(made.block, 0)
      self.assertAlmostEqual(made.norm, expected / len(TABLE), places=6)

  def test_refuses_a_mode(self):
    with self.assertRaisesRegex(
      errors.InputError, "'add'.*replace_embedding, replace_embedding_scaled"
    ):
      injection_lib.make('add', MODEL, VECTOR)

  def test_refuses_a_block_that_the_model_lacks(self):
    for block in (-1, 1):
      with self.assertRaisesRegex(errors.InputError, f'block {block}.* 0 to 0'):
        injection_lib.make('add_norm_matched', MODEL, VECTOR, block)


if __name__ == '__main__':
  absltest.main()
