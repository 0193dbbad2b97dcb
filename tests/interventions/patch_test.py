# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of patches: what is written, what is counted, what is refused."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.interventions import patch as patch_lib

_WIDTH = 2


def _build(patches, site='resid_post', mode=patch_lib.REPLACE):
  """Patches of a single row from (first, last, position) and value 1, 2, …."""
  first, last, position = (np.array([part]) for part in zip(*patches))
  vector = np.arange(1.0, 1 + len(patches))[None, :, None]
  vector = np.broadcast_to(vector, (1, len(patches), _WIDTH))
  return patch_lib.build(site, first, last, position, vector, mode)


def _visit(patches, site='resid_post', layer=0, length=4):
  """Visits one site of a row of 10s; returns its first channel and counts."""
  value = jnp.full((1, length, _WIDTH), 10.0)
  written = patches.start(jnp.zeros((1, length), jnp.int32))
  layer = jnp.asarray(layer, jnp.int32)
  written, value = patches.visit(written, site, layer, value)
  np.testing.assert_array_equal(value[..., 0], value[..., 1])
  return value[0, :, 0].tolist(), int(written[0])


class PatchTest(parameterized.TestCase):
  @parameterized.parameters(
    (0, [10, 10, 10, 10], 0),
    (1, [10, 10, 1, 10], 1),
    (2, [10, 2, 1, 10], 2),
    (3, [10, 10, 10, 10], 0),
  )
  def test_writes_at_layers_from_first_to_last(self, layer, expected, count):
    patches = _build([(1, 2, 2), (2, 2, 1)])
    self.assertEqual(_visit(patches, layer=layer), (expected, count))

  def test_another_site_is_left_alone(self):
    patches = _build([(0, 3, 1)])
    self.assertEqual(_visit(patches, 'resid_mid'), ([10] * 4, 0))

  def test_additions_accumulate_and_follow_replacements(self):
    mode = np.array([[patch_lib.ADD, patch_lib.REPLACE, patch_lib.ADD]])
    patches = _build([(0, 0, 3), (0, 0, 3), (0, 0, 3)], mode=mode)
    self.assertEqual(_visit(patches), ([10, 10, 10, 1 + 2 + 3], 3))

  def test_off_writes_and_counts_nothing(self):
    patches = _build([(0, 0, 1), (0, 0, 2)], mode=np.array([[0, 1]]))
    self.assertEqual(_visit(patches), ([10, 10, 2, 10], 1))

  @parameterized.parameters(-1, -4, 4, 5, 2**31 - 1)
  def test_position_outside_the_sequence_is_not_counted(self, position):
    for mode in (patch_lib.REPLACE, patch_lib.ADD):
      patches = _build([(0, 0, position)], mode=mode)
      self.assertEqual(_visit(patches), ([10] * 4, 0))

  def test_rows_are_independent(self):
    at = np.zeros((3, 1), np.int32)
    patches = patch_lib.build(
      'embed', at, at, np.array([[0], [1], [9]]), np.ones((3, 1, _WIDTH))
    )
    written, value = patches.visit(
      patches.start(jnp.zeros((3, 2), jnp.int32)),
      'embed',
      jnp.zeros((), jnp.int32),
      jnp.zeros((3, 2, _WIDTH)),
    )
    self.assertEqual(value[..., 0].tolist(), [[1, 0], [0, 1], [0, 0]])
    self.assertEqual(written.tolist(), [1, 1, 0])

  def test_gradient_flows_to_the_vector_alone_at_a_replaced_cell(self):
    def total(patches, value):
      _, value = patches.visit(
        jnp.zeros(1, jnp.int32), 'resid_post', jnp.zeros((), jnp.int32), value
      )
      return jnp.sum(value * jnp.arange(4.0)[None, :, None])

    value = jnp.full((1, 4, _WIDTH), 10.0)
    to_patches, to_value = jax.grad(total, (0, 1), allow_int=True)(
      _build([(0, 0, 2)]), value
    )
    self.assertEqual(to_patches.vector.tolist(), [[[2.0, 2.0]]])
    self.assertEqual(to_value[0, :, 0].tolist(), [0.0, 1.0, 0.0, 3.0])

  def test_refuses_replacements_of_the_same_cell(self):
    with self.assertRaisesRegex(ValueError, 'row 0: patches 0 and 1'):
      _build([(0, 2, 1), (2, 3, 1)])
    _build([(0, 1, 1), (2, 3, 1)])
    _build([(0, 2, 1), (2, 3, 2)])
    _build([(0, 2, 1), (2, 3, 1)], mode=np.array([[1, 2]]))

  def test_refuses_a_block_that_ends_before_it_begins(self):
    with self.assertRaisesRegex(ValueError, 'last layer before its first'):
      _build([(2, 1, 0)])

  def test_refuses_an_unknown_site(self):
    with self.assertRaisesRegex(errors.InputError, "'residual'.*resid_post"):
      _build([(0, 0, 0)], site='residual')


if __name__ == '__main__':
  absltest.main()
