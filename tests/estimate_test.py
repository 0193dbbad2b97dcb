# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of rough durations."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax

from selfexplain_jax import estimate


class EstimateTest(parameterized.TestCase):
  @parameterized.parameters(
    ('cpu', 1, 1.0), ('cpu', 2, 0.5), ('gpu', 1, 0.0006), ('tpu', 4, 0.00025)
  )
  def test_minutes_of_all_devices(self, platform, count, expected):
    device = mock.Mock(platform=platform)
    with (
      mock.patch.object(jax, 'devices', lambda: [device] * count),
      mock.patch.object(jax, 'device_count', lambda: count),
    ):
      self.assertAlmostEqual(estimate.minutes(1.8e12), expected)

  def test_operations(self):
    self.assertEqual(estimate.forward(10, 7), 140)
    self.assertEqual(estimate.training(10, 7), 420)


if __name__ == '__main__':
  absltest.main()
