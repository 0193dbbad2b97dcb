# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the table of layer blocks."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.explainer import layer_blocks

BOUNDS = np.array([[3, 5], [0, 2], [3, 5], [4, 4]])


class LayerBlocksTest(absltest.TestCase):
  def test_distinct_blocks_are_numbered_in_order(self):
    table = layer_blocks.distinct(BOUNDS)
    self.assertEqual(table.pairs, ((0, 2), (3, 5), (4, 4)))
    self.assertEqual(table.count, 3)
    ids = table.ids(BOUNDS)
    np.testing.assert_array_equal(ids, [1, 0, 1, 2])
    self.assertEqual(ids.dtype, np.int32)

  def test_ids_have_the_shape_of_the_vectors(self):
    table = layer_blocks.distinct(BOUNDS)
    ids = table.ids(BOUNDS.reshape(2, 2, 2))
    np.testing.assert_array_equal(ids, [[1, 0], [1, 2]])
    self.assertEqual(table.ids(np.zeros((0, 3, 2))).shape, (0, 3))

  def test_does_not_depend_on_the_order_of_records(self):
    self.assertEqual(
      layer_blocks.distinct(BOUNDS[::-1]), layer_blocks.distinct(BOUNDS)
    )

  def test_names_a_block_that_is_not_in_it(self):
    with self.assertRaisesRegex(
      errors.InputError, 'layers 2 to 3: .*explainer, 0 to 2, 3 to 5, 4 to 4'
    ):
      layer_blocks.distinct(BOUNDS).ids([[0, 2], [2, 3]])

  def test_an_empty_table_tells_nothing_apart(self):
    table = layer_blocks.distinct([])
    self.assertEqual((table, table.count), (layer_blocks.LayerBlocks(), 1))
    np.testing.assert_array_equal(table.ids(BOUNDS), [0, 0, 0, 0])


if __name__ == '__main__':
  absltest.main()
