# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of injection against a loop over rows and tokens."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from tests.models import tiny

VECTOR, NORM, WIDTH, TARGET_WIDTH = 6, 2.5, 16, 10
MODEL = tiny.model(layers=1)
TABLE = np.asarray(MODEL.embedding[...])
# Rows with all, some and none of their three vectors; the first vector comes
# first in one row and last in another.
TOKENS = np.array(
  [
    [VECTOR, 5, 7, VECTOR, 9],
    [1, 2, 3, 4, VECTOR],
    [1, 2, 3, 4, 5],
    [8, VECTOR, VECTOR, 8, VECTOR],
  ],
  np.int32,
)
BLOCKS = layer_blocks_lib.LayerBlocks(((0, 1), (2, 3), (4, 4)))
IDS = np.array([[2, 1, 0], [1, 0, 0], [2, 2, 2], [0, 2, 1]], np.int32)
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(4, 3, WIDTH)).astype(np.float32)
VALUES = {
  'scale': RNG.uniform(1, 3, size=3),
  'bias': RNG.normal(size=(3, WIDTH)),
  'projection': RNG.normal(size=(3, WIDTH, TARGET_WIDTH)),
}
RESID = RNG.normal(size=(4, 5, WIDTH)).astype(np.float32)
ADDED, REPLACING = 'add_norm_matched', 'replace_embedding'
SCALED, LEARNT = 'replace_embedding_scaled', 'scale_and_bias'


def _injection(mode, projected=False):
  names = ['scale', 'bias'] if mode == LEARNT else []
  names += ['projection'] if projected else []
  return injection_lib.Injection(
    mode,
    VECTOR,
    NORM,
    block=1,
    layer_blocks=BLOCKS,
    parameters=injection_lib.place({name: VALUES[name] for name in names}),
  )


_RUN = jax.jit(injection_lib.inject)


def _inject(mode, vectors=VECTORS, model=MODEL, tokens=TOKENS, projected=False):
  ids = IDS[: len(tokens), : vectors.shape[1]]
  return _RUN(model, _injection(mode, projected), tokens, vectors, ids)


def _after(tap, resid=RESID, site='resid_post', layer=1):
  return np.asarray(
    tap.visit(None, site, jnp.int32(layer), jnp.asarray(resid))[1]
  )


def _outcome(mode, *args, **kwargs):
  """What a mode makes of the embeddings, or of the residual stream RESID."""
  shown, tap = _inject(mode, *args, **kwargs)
  if mode != ADDED:
    assert tap is None
    return np.asarray(shown)
  tokens = kwargs.get('tokens', TOKENS)
  np.testing.assert_array_equal(shown, TABLE[tokens])
  return _after(tap, RESID[: len(tokens)]) if tap else RESID


def _slow(mode, vectors, tokens, projected):
  """The same, one token after the other in float64."""
  table = RESID if mode == ADDED else TABLE[tokens]
  out = np.array(table, np.float64)
  for row, ids in enumerate(tokens):
    seen = 0
    for at, token in enumerate(ids):
      if token != VECTOR:
        continue
      vector = vectors[row, seen].astype(np.float64)
      own = IDS[row, seen]
      seen += 1
      if projected:
        vector = VALUES['projection'][own] @ vector
      if mode == REPLACING:
        out[row, at] = vector
        continue
      unit = vector / np.linalg.norm(vector)
      if mode == SCALED:
        out[row, at] = unit * NORM
      elif mode == LEARNT:
        out[row, at] = unit * VALUES['scale'][own] + VALUES['bias'][own]
      else:
        out[row, at] += unit * np.linalg.norm(out[row, at])
  return out


def _at_most(count):
  """Tokens with at most so many vector tokens a row; another in their place."""
  return np.where(np.cumsum(TOKENS == VECTOR, 1) > count, 3, TOKENS)


class InjectTest(parameterized.TestCase):
  @parameterized.product(
    mode=injection_lib.MODES, projected=(False, True), count=(0, 1, 3)
  )
  def test_equals_the_slow_loop(self, mode, projected, count):
    width = TARGET_WIDTH if projected else WIDTH
    vectors = VECTORS[:, :count, :width]
    tokens = _at_most(count)
    found = _outcome(mode, vectors, tokens=tokens, projected=projected)
    expected = _slow(mode, vectors, tokens, projected)
    own = (tokens == VECTOR)[..., None]
    np.testing.assert_allclose(
      np.where(own, found, 0), np.where(own, expected, 0), 1e-5, 1e-5
    )
    # To the bit: the others are the model's own.
    table = RESID if mode == ADDED else TABLE[tokens]
    np.testing.assert_array_equal(
      np.where(own, 0, found), np.where(own, 0, table)
    )

  def test_a_raw_vector_is_shown_to_the_bit(self):
    shown = _outcome(REPLACING)
    np.testing.assert_array_equal(shown[3, [1, 2, 4]], VECTORS[3])

  @parameterized.parameters(SCALED, ADDED, LEARNT)
  def test_the_direction_alone_matters(self, mode):
    small, large = (
      _outcome(mode, VECTORS * np.float32(scale)) for scale in (1e-3, 1e3)
    )
    np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-6)

  @parameterized.parameters(*injection_lib.MODES)
  def test_a_zero_vector_gives_no_direction(self, mode):
    vectors = VECTORS.copy()
    vectors[0, 1] = 0
    found = _outcome(mode, vectors)
    expected = {ADDED: RESID[0, 3], LEARNT: VALUES['bias'][IDS[0, 1]]}
    np.testing.assert_allclose(
      found[0, 3], expected.get(mode, np.zeros(WIDTH)), 1e-6
    )
    np.testing.assert_array_equal(found[1:], _outcome(mode)[1:])

  @parameterized.parameters(REPLACING, SCALED, LEARNT)
  def test_is_in_the_dtype_of_the_model(self, mode):
    model = tiny.model(layers=1, dtype='bfloat16')
    self.assertEqual(_inject(mode, model=model)[0].dtype, jnp.bfloat16)

  def test_adds_nothing_at_other_sites_and_blocks(self):
    _, tap = _inject(ADDED)
    for site, layer in (('resid_post', 0), ('resid_post', 2), ('mlp_out', 1)):
      np.testing.assert_array_equal(_after(tap, RESID, site, layer), RESID)

  def test_ids_may_be_left_out_where_there_is_one_block(self):
    one = injection_lib.make(LEARNT, MODEL, VECTOR)
    zeros = np.zeros_like(IDS)
    np.testing.assert_array_equal(
      _RUN(MODEL, one, TOKENS, VECTORS)[0],
      _RUN(MODEL, one, TOKENS, VECTORS, zeros)[0],
    )
    with self.assertRaisesRegex(ValueError, 'ids of their layer blocks'):
      injection_lib.inject(MODEL, _injection(LEARNT), TOKENS, VECTORS)


class GradientTest(parameterized.TestCase):
  @parameterized.parameters(*injection_lib.MODES)
  def test_reaches_what_a_shown_vector_went_through_and_no_more(self, mode):
    # Blocks 0 and 1 are shown; block 2 stands at a vector without a token.
    ids = np.array([[0, 1, 2]], np.int32)
    vectors = VECTORS[:1, :, :TARGET_WIDTH].copy()
    vectors[0, 0] = 0  # Its projection has no direction to learn, and no NaN.
    injection = _injection(mode, projected=True)

    @jax.grad
    def gradient(parameters):
      shown, tap = injection_lib.inject(
        MODEL,
        injection.with_parameters(parameters),
        TOKENS[:1],
        vectors,
        ids,
      )
      if tap is not None:
        shown = tap.visit(None, 'resid_post', jnp.int32(1), RESID[:1])[1]
      return jnp.sum(jnp.sin(shown))

    for name, found in gradient(injection.parameters).arrays().items():
      self.assertTrue(np.isfinite(found).all(), name)
      moved = [bool(np.any(block)) for block in found]
      # The scale multiplies a direction and the projection a vector.
      first = name == 'bias'
      self.assertEqual(moved, [first, True, False], name)


class MakeTest(parameterized.TestCase):
  def test_norm_is_the_mean_norm_of_the_embeddings(self):
    expected = sum(sum(x * x for x in row) ** 0.5 for row in TABLE.tolist())
    for mode in injection_lib.MODES:
      made = injection_lib.make(mode, MODEL, VECTOR)
      self.assertEqual((made.mode, made.vector_id), (mode, VECTOR))
      self.assertEqual(made.block, 0)
      self.assertAlmostEqual(made.norm, expected / len(TABLE), places=6)
    scaled = tiny.model(embedding_scaled=True)
    made = injection_lib.make(mode, scaled, VECTOR)
    table = np.asarray(scaled.embedding[...]) * scaled.config.width**0.5
    expected = np.linalg.norm(table, axis=1).mean()
    self.assertAlmostEqual(made.norm, expected, places=4)

  @parameterized.parameters(*injection_lib.MODES)
  def test_has_what_the_mode_and_a_projection_ask_for(self, mode):
    for projection in (None, VALUES['projection']):
      made = injection_lib.make(
        mode, MODEL, VECTOR, 0, BLOCKS, projection_CxExD=projection
      )
      arrays = made.parameters.arrays()
      self.assertEqual(
        {name: value.shape for name, value in arrays.items()},
        injection_lib.shapes(
          mode, BLOCKS, WIDTH, None if projection is None else TARGET_WIDTH
        ),
      )
      # A table without parameters would refuse blocks for no reason.
      self.assertEqual(bool(made.layer_blocks.pairs), bool(arrays))
      if projection is not None:
        np.testing.assert_array_equal(
          arrays['projection'], projection.astype(np.float32)
        )

  def test_scale_and_bias_begin_as_scaled(self):
    found, expected = (
      _RUN(
        MODEL,
        injection_lib.make(mode, MODEL, VECTOR, 0, BLOCKS),
        TOKENS,
        VECTORS,
        IDS,
      )[0]
      for mode in (LEARNT, SCALED)
    )
    np.testing.assert_allclose(found, expected, 1e-6)

  def test_every_parameter_has_known_axes(self):
    learnt = _injection(LEARNT, projected=True).parameters
    for name, spec in (
      ('scale', (None,)),
      ('bias', (None, 'fsdp')),
      ('projection', (None, 'fsdp', None)),
    ):
      axes = getattr(learnt, name).axes
      self.assertEqual(tuple(axis_rules.partition_spec(axes)), spec)

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
