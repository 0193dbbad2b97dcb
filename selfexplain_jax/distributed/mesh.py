# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The device mesh: `data` x `fsdp` x `tensor`. One device is a 1x1x1 mesh."""

from collections.abc import Sequence
import math

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType

from selfexplain_jax import errors

AXES = ('data', 'fsdp', 'tensor')

# Of devices that are there, or of the shape alone.
AnyMesh = jax.sharding.Mesh | jax.sharding.AbstractMesh


def make_mesh(
  data: int = -1,
  fsdp: int = 1,
  tensor: int = 1,
  devices: Sequence[jax.Device] | None = None,
) -> jax.sharding.Mesh:
  """Makes the mesh over all devices of the job.

  Neighbours on `tensor` and `fsdp` are neighbours in the network. Where there
  are several slices, only `data` goes from one to another, since what connects
  them is slow.

  Args:
    data: ways to split the batch with replicated parameters. One of the three
      may be -1: it takes the devices that the other two leave.
    fsdp: ways to split both the batch and the parameters.
    tensor: ways to split heads, MLP and vocabulary.
    devices: other devices than those of the job, such as of a slice that
      programs are compiled for.

  Raises:
    errors.InputError: if the product is not the number of devices, or `data`
      not a multiple of the slices.
  """
  found = list(jax.devices() if devices is None else devices)
  data, fsdp, tensor = _ways((data, fsdp, tensor), len(found))
  if data * fsdp * tensor != len(found):
    raise errors.InputError(
      f'mesh {data} x {fsdp} x {tensor} (data x fsdp x tensor) does not match '
      f'the {len(found)} devices of this job: expected the product to be '
      f'{len(found)}'
    )
  slices = len({getattr(device, 'slice_index', 0) for device in found})
  if data % slices:
    raise errors.InputError(
      f'mesh has data={data}: expected a multiple of {slices}, the slices of '
      'this job, which it alone goes over'
    )
  if slices > 1:
    placed = mesh_utils.create_hybrid_device_mesh(
      (data // slices, fsdp, tensor),
      (slices, 1, 1),
      found,
      allow_split_physical_axes=True,
    )
  else:
    placed = mesh_utils.create_device_mesh(
      (data, fsdp, tensor), found, allow_split_physical_axes=True
    )
  return jax.sharding.Mesh(placed, AXES, (AxisType.Auto,) * 3)


def plan_mesh(
  data: int = -1, fsdp: int = 1, tensor: int = 1
) -> jax.sharding.AbstractMesh:
  """Returns the shape of a mesh for devices that need not be there.

  Sizes of work are told by it. A way of -1 takes what is left of the devices of
  this job, and is 1 where the other two want more of them.

  Raises:
    errors.InputError: if a number makes no sense.
  """
  return jax.sharding.AbstractMesh(
    _ways((data, fsdp, tensor), jax.device_count()),
    AXES,
    axis_types=(AxisType.Auto,) * len(AXES),
  )


def _ways(asked: tuple[int, ...], devices: int) -> tuple[int, ...]:
  """Returns the sizes of the axes, none of them -1."""
  if min(asked) < -1 or 0 in asked or asked.count(-1) > 1:
    sizes = ', '.join(
      f'{n}={size}' for n, size in zip(AXES, asked, strict=True)
    )
    raise errors.InputError(
      f'mesh has {sizes}: expected at least 1, or -1 for one of them'
    )
  left = max(1, devices // abs(math.prod(asked)))
  return tuple(left if size == -1 else size for size in asked)
