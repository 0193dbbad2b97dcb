# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that no result depends on the mesh, on four forced CPU devices."""

from absl.testing import absltest

from tests.distributed import workers


class ShardingTest(absltest.TestCase):
  def test_four_devices_equal_one(self):
    ((printed, _),) = workers.run('sharding_worker', [])
    self.assertSameElements(printed['differences'], ['1x2x2', '4x1x1'])
    for mesh, (difference, place) in printed['differences'].items():
      self.assertLess(difference, 1e-5, f'{place} on a mesh {mesh}')
    for mesh, notes in printed['training'].items():
      self.assertTrue(notes['kept'], mesh)
      self.assertEqual(notes['programs'], 1, mesh)
    # What the optimizer remembers is split as the matrices are.
    self.assertEqual(
      printed['training']['1x2x2']['moments'],
      {
        'query': ["(None, 'fsdp', 'tensor')"],
        'projection': ["(None, 'fsdp')"],
      },
    )
    # [features, width] of a dictionary, read part by part.
    self.assertEqual(printed['training']['1x2x2']['decoder'], [10, 16])
    self.assertEqual(printed['training']['4x1x1']['decoder'], [20, 32])
    # [layers, width, heads]: a quarter of it on each of 1 x 2 x 2 devices.
    self.assertEqual(printed['query'], [2, 32, 32])
    self.assertEqual(printed['part'], [2, 16, 16])
    self.assertEqual(printed['odd'], [6])
    self.assertEqual(printed['sent'], [[], []])
    self.assertLess(printed['splash'], 1e-4)
    self.assertEqual(printed['cudnn'], ['cudnn$'])


if __name__ == '__main__':
  absltest.main()
