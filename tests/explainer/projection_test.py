# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of projections against known maps and a slow run of both models."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.explainer import projection
from tests.models import oracle
from tests.models import tiny

RNG = np.random.default_rng(0)
ROWS, D, E = 60, 7, 5
# Of unequal sizes along its axes, and with a common mean.
TARGET = RNG.normal(size=(ROWS, D)) * np.arange(1, D + 1) + 3
MAP = RNG.normal(size=(E, D))
NOISY = TARGET @ MAP.T + RNG.normal(size=(ROWS, E))


class CheckTest(absltest.TestCase):
  def test_widths(self):
    projection.check('none', 16, 16)
    for kind in ('random', 'ridge'):
      projection.check(kind, 16, 16)
      projection.check(kind, 24, 16)
    with self.assertRaisesRegex(errors.InputError, '24 wide: expected 16'):
      projection.check('none', 24, 16)

  def test_refuses_a_kind(self):
    with self.assertRaisesRegex(errors.InputError, "'pca': .*none, random"):
      projection.check('pca', 16, 16)


class RandomTest(absltest.TestCase):
  def test_keeps_mean_squares_and_is_a_function_of_the_seed(self):
    made = projection.random(3, 40, 500, seed=1)
    self.assertEqual((made.shape, made.dtype), ((3, 40, 500), np.float32))
    vector = RNG.normal(size=500)
    np.testing.assert_allclose(
      np.mean((made @ vector) ** 2), np.mean(vector**2), rtol=0.3
    )
    np.testing.assert_array_equal(made, projection.random(3, 40, 500, seed=1))
    self.assertNotAlmostEqual(made[0, 0, 0], made[1, 0, 0])
    self.assertNotAlmostEqual(
      made[0, 0, 0], projection.random(3, 40, 500, seed=2)[0, 0, 0]
    )


class RidgeTest(parameterized.TestCase):
  def test_recovers_a_map(self):
    found = projection.ridge(TARGET, TARGET @ MAP.T, 1e-12)
    np.testing.assert_allclose(found, MAP, 1e-6)
    self.assertEqual(found.dtype, np.float64)

  def test_is_the_least_of_errors_and_penalty(self):
    penalty = 0.1
    weight = penalty * np.sum(TARGET**2) / D

    def cost(matrix):
      errors_ = NOISY - TARGET @ matrix.T
      return np.sum(errors_**2) + weight * np.sum(matrix**2)

    found = projection.ridge(TARGET, NOISY, penalty)
    least = cost(found)
    for place in np.ndindex(E, D):
      for step in (-1e-3, 1e-3):
        moved = found.copy()
        moved[place] += step
        self.assertGreater(cost(moved), least)

  def test_is_equivariant_to_rotations_of_the_target(self):
    turn = np.linalg.qr(RNG.normal(size=(D, D)))[0]
    for penalty in (1e-3, 1.0):
      found = projection.ridge(TARGET @ turn.T, NOISY, penalty)
      expected = projection.ridge(TARGET, NOISY, penalty) @ turn.T
      np.testing.assert_allclose(found, expected, 1e-9, 1e-9)
      # What the explainer is shown does not depend on the coordinates.
      np.testing.assert_allclose(
        TARGET @ turn.T @ found.T,
        TARGET @ projection.ridge(TARGET, NOISY, penalty).T,
        1e-9,
      )

  def test_depends_neither_on_the_scale_nor_on_the_number_of_rows(self):
    expected = projection.ridge(TARGET, NOISY, 0.1)
    np.testing.assert_allclose(
      projection.ridge(TARGET * 100, NOISY, 0.1), expected / 100, 1e-9
    )
    twice = np.concatenate([TARGET, TARGET]), np.concatenate([NOISY, NOISY])
    np.testing.assert_allclose(projection.ridge(*twice, 0.1), expected, 1e-9)

  def test_takes_fewer_rows_than_coordinates(self):
    found = projection.ridge(TARGET[:3], NOISY[:3], 1e-9)
    np.testing.assert_allclose(TARGET[:3] @ found.T, NOISY[:3], 1e-4, 1e-4)

  @parameterized.parameters(0.0, -1.0, float('nan'))
  def test_refuses_a_penalty(self, penalty):
    with self.assertRaisesRegex(errors.InputError, 'penalty.*above 0'):
      projection.ridge(TARGET, NOISY, penalty)


class PairedLayerTest(parameterized.TestCase):
  @parameterized.parameters(
    (4, 4, [0, 1, 2, 3]),
    (4, 2, [0, 0, 1, 1]),
    (2, 4, [1, 3]),
    (3, 2, [0, 0, 1]),
    (6, 1, [0, 0, 0, 0, 0, 0]),
  )
  def test_is_at_the_same_depth(self, target, explainer, expected):
    found = [
      projection.paired_layer(i, target, explainer) for i in range(target)
    ]
    self.assertEqual(found, expected)


class PairedActivationsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.target = tiny.model(layers=3)
    cls.explainer = tiny.model(seed=1, layers=2, width=24)
    cls.blocks = layer_blocks_lib.LayerBlocks(((0, 1), (1, 2), (2, 2)))
    rng = np.random.default_rng(2)
    cls.tokens = rng.integers(0, 40, (5, 6)).astype(np.int32)
    cls.present = np.arange(6) < np.array([6, 2, 4, 1, 6])[:, None]

  def _slow(self, model, blocks):
    """One row after the other in float64: [C][N]."""
    out = [[] for _ in blocks]
    for tokens, present in zip(self.tokens, self.present, strict=True):
      ids = tokens[present]
      _, sites = oracle.forward(model, ids)
      for mine, layers in zip(out, blocks, strict=True):
        for at in range(1, len(ids)):
          seen = [sites['resid_post', layer][at] for layer in layers]
          mine.append(sum(seen) / len(seen))
    return np.array(out)

  def test_equals_the_slow_runs(self):
    # 3 blocks of 3 layers beside 2: the depths 1/3, 2/3 and 1 are those of the
    # explainer's layers 0, 0 and 1.
    expected = (
      self._slow(self.target, [[0, 1], [1, 2], [2]]),
      self._slow(self.explainer, [[0, 0], [0, 1], [1]]),
    )
    for batch in (2, 8):
      with mock.patch.object(projection, '_BATCH', batch):
        found = projection.paired_activations(
          self.target, self.explainer, self.tokens, self.present, self.blocks
        )
      for a, b, width in zip(found, expected, (16, 24), strict=True):
        self.assertEqual(a.shape, (3, 5 + 1 + 3 + 0 + 5, width))
        np.testing.assert_allclose(a, b, 1e-4, 1e-4)

  def test_ridge_starts_each_block_from_its_own_pairs(self):
    args = (self.target, self.explainer, self.tokens, self.present, self.blocks)
    found = projection.ridge_start(*args, 0.1)
    self.assertEqual((found.shape, found.dtype), ((3, 24, 16), np.float32))
    for own, d, e in zip(
      found, *projection.paired_activations(*args), strict=True
    ):
      np.testing.assert_allclose(own, projection.ridge(d, e, 0.1), 1e-4, 1e-6)

  def test_a_model_is_projected_onto_itself_by_about_one(self):
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 40, (20, 12)).astype(np.int32)
    found = projection.ridge_start(
      self.target,
      self.target,
      tokens,
      np.ones(tokens.shape, bool),
      self.blocks,
      1e-7,
    )
    np.testing.assert_allclose(found, np.stack([np.eye(16)] * 3), 0, 1e-2)

  def test_refuses_layers_that_are_not_there(self):
    args = self.target, self.explainer, self.tokens, self.present
    with self.assertRaisesRegex(errors.InputError, 'no question shows'):
      projection.ridge_start(*args, layer_blocks_lib.LayerBlocks(), 0.1)
    with self.assertRaisesRegex(errors.InputError, 'layer 3: expected 0 to 2'):
      projection.ridge_start(
        *args, layer_blocks_lib.LayerBlocks(((2, 3),)), 0.1
      )


if __name__ == '__main__':
  absltest.main()
