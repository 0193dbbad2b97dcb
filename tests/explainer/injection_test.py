# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of injection against a loop over tokens."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import decoder
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


def _embed(mode, vectors=VECTORS, model=MODEL, norm=2.5):
  injection = injection_lib.Injection(mode, VECTOR, norm)
  shown = jax.jit(injection_lib.embed)(model, injection, TOKENS, vectors)
  return np.asarray(shown)


class EmbedTest(parameterized.TestCase):
  @parameterized.parameters(*injection_lib.MODES)
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

  @parameterized.parameters(*injection_lib.MODES)
  def test_a_zero_vector_gives_zeros(self, mode):
    vectors = VECTORS.copy()
    vectors[0, 1] = 0
    shown = _embed(mode, vectors)
    np.testing.assert_array_equal(shown[0, 3], np.zeros(16))
    self.assertTrue(np.isfinite(shown).all())
    np.testing.assert_array_equal(shown[1:], _embed(mode)[1:])

  def test_is_in_the_dtype_of_the_model(self):
    model = tiny.model(layers=1, dtype='bfloat16')
    for mode in injection_lib.MODES:
      self.assertEqual(_embed(mode, model=model).dtype, jnp.bfloat16)

  def test_without_vector_tokens_nothing_changes(self):
    injection = injection_lib.Injection('replace_embedding', VECTOR, 1.0)
    tokens = TOKENS[2:3]
    np.testing.assert_array_equal(
      injection_lib.embed(MODEL, injection, tokens, VECTORS[2:3]),
      decoder.embed(MODEL, tokens),
    )


class MakeTest(absltest.TestCase):
  def test_norm_is_the_mean_norm_of_the_embeddings(self):
    expected = sum(sum(x * x for x in row) ** 0.5 for row in TABLE.tolist())
    for mode in injection_lib.MODES:
      made = injection_lib.make(mode, MODEL, VECTOR)
      self.assertEqual((made.mode, made.vector_id), (mode, VECTOR))
      self.assertAlmostEqual(made.norm, expected / len(TABLE), places=6)

  def test_refuses_a_mode(self):
    with self.assertRaisesRegex(
      errors.InputError, "'add'.*replace_embedding, replace_embedding_scaled"
    ):
      injection_lib.make('add', MODEL, VECTOR)


if __name__ == '__main__':
  absltest.main()
