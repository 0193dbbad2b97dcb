# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the mesh over the devices of this job."""

import types

from absl.testing import absltest
from absl.testing import parameterized
import jax

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh


class MeshTest(parameterized.TestCase):
  def test_takes_all_devices_in_three_axes(self):
    made = mesh.make_mesh()
    self.assertEqual(
      dict(made.shape), {'data': jax.device_count(), 'fsdp': 1, 'tensor': 1}
    )
    self.assertEqual(set(made.axis_types), {jax.sharding.AxisType.Auto})

  @parameterized.parameters((7, 1, 1), (1, 64, 64), (-1, 64, 64), (128, 1, 64))
  def test_refuses_another_number_of_devices(self, data, fsdp, tensor):
    count = jax.device_count()
    with self.assertRaisesRegex(
      errors.InputError, f'expected the product to be {count}'
    ):
      mesh.make_mesh(data, fsdp, tensor)

  def test_slices_are_told_apart_by_data_alone(self):
    two = [
      types.SimpleNamespace(slice_index=i, process_index=0, platform='tpu')
      for i in (0, 1)
    ]
    with self.assertRaisesRegex(
      errors.InputError, 'data=1: expected a multiple of 2, the slices'
    ):
      mesh.make_mesh(1, 2, 1, two)

  def test_plans_for_devices_that_are_not_there(self):
    planned = mesh.plan_mesh(2, 64, 8)
    self.assertEqual(dict(planned.shape), dict(data=2, fsdp=64, tensor=8))
    count = jax.device_count()
    self.assertEqual(mesh.plan_mesh().shape['data'], count)
    self.assertEqual(mesh.plan_mesh(-1, 2 * count).shape['data'], 1)
    with self.assertRaisesRegex(
      errors.InputError, 'data=0, fsdp=1, tensor=1: expected'
    ):
      mesh.plan_mesh(0)

  def test_any_axis_takes_what_is_left(self):
    count = jax.device_count()
    self.assertEqual(mesh.make_mesh(1, -1).shape['fsdp'], count)
    self.assertEqual(mesh.make_mesh(1, 1, -1).shape['tensor'], count)

  @parameterized.parameters((-1, 0, 1), (-1, 1, 0), (1, -1, -1), (-2, 1, 1))
  def test_refuses_less_than_one_way_to_split(self, data, fsdp, tensor):
    with self.assertRaisesRegex(
      errors.InputError,
      f'data={data}, fsdp={fsdp}, tensor={tensor}: expected at least 1',
    ):
      mesh.make_mesh(data, fsdp, tensor)


if __name__ == '__main__':
  absltest.main()
