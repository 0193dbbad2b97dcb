# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of rough durations."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax

from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder


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

  def test_more_devices_than_there_are_would_be_tpus(self):
    count = jax.device_count()
    few, many = (mesh_lib.plan_mesh(1, count * n) for n in (1, 16))
    self.assertEqual(estimate.minutes(1e15, few), estimate.minutes(1e15))
    self.assertAlmostEqual(
      estimate.minutes(1e15, many), 1e15 / (3e13 * 16 * count) / 60
    )

  def test_memory_is_what_arrays_take(self):
    config = config_lib.DecoderConfig(
      vocabulary=128_256,
      width=4096,
      layers=32,
      heads=32,
      kv_heads=8,
      head_width=128,
      mlp_width=14_336,
      tied=False,
      dtype='bfloat16',
      parameter_dtype='bfloat16',
    )
    found = estimate.memory(
      decoder.abstract(config), mesh_lib.plan_mesh(1, 8, 2)
    )
    norms = (2 * 32 + 1) * 4096
    block = 2 * 4096 * 128 * (32 + 8) + 3 * 4096 * 14_336
    # The published number of Llama 3.1 8B.
    self.assertEqual(found.parameters, 8_030_261_248)
    self.assertEqual(found.parameters, 32 * block + 2 * 128_256 * 4096 + norms)
    self.assertEqual(found.total, 2 * found.parameters)
    # Norms are whole on each device, and all else is split in 16.
    self.assertEqual(
      found.device, 2 * ((found.parameters - norms) // 16 + norms)
    )

  def test_what_devices_cannot_hold_is_refused(self):
    mesh = mesh_lib.plan_mesh()
    estimate.require_room(1e6, mesh)
    with self.assertRaisesRegex(
      errors.InputError,
      r'take 1e\+09 GB on each of 1 devices, which have .* GB: expected',
    ):
      estimate.require_room(1e18, mesh)
    # Nobody knows of devices that are elsewhere.
    estimate.require_room(1e18, mesh_lib.plan_mesh(data=64))

  def test_memory_of_a_step(self):
    config = config_lib.DecoderConfig(100, 8, 3, 2, 2, 4, 16)
    mesh = mesh_lib.plan_mesh(2, 4, 3)
    own = 16 * 50 / (2 * 4)
    self.assertEqual(
      estimate.step_bytes(config, 16, 50, mesh, True),
      own * (3 * 8 * 4 + 8 * 100),
    )
    self.assertEqual(
      estimate.step_bytes(config, 16, 50, mesh, False), own * 4 * 8 * 4
    )
    # Rows that the axes do not divide evenly are on more devices than one.
    for rows, each in ((12, 6), (11, 11)):
      self.assertEqual(
        estimate.step_bytes(config, rows, 50, mesh, False),
        each * 50 * 4 * 8 * 4,
      )

  def test_operations(self):
    self.assertEqual(estimate.forward(10, 7), 140)
    self.assertEqual(estimate.training(10, 7), 420)


if __name__ == '__main__':
  absltest.main()
