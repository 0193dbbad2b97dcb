# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The device mesh: `data` x `fsdp` x `tensor`. One device is a 1x1x1 mesh."""

import jax
from jax.sharding import AxisType

from selfexplain_jax import errors

AXES = ('data', 'fsdp', 'tensor')

# Of devices that are there, or of the shape alone.
AnyMesh = jax.sharding.Mesh | jax.sharding.AbstractMesh


def make_mesh(
  data: int = -1, fsdp: int = 1, tensor: int = 1
) -> jax.sharding.Mesh:
  """Makes the mesh over all devices of the job.

  Args:
    data: ways to split the batch with replicated parameters; -1 takes the
      devices that the other two leave.
    fsdp: ways to split both the batch and the parameters.
    tensor: ways to split heads, MLP and vocabulary.

  Raises:
    errors.InputError: if the product is not the number of devices.
  """
  devices = jax.device_count()
  data = _ways(data, fsdp, tensor)
  if data * fsdp * tensor != devices:
    raise errors.InputError(
      f'mesh {data} x {fsdp} x {tensor} (data x fsdp x tensor) does not match '
      f'the {devices} devices of this job: expected the product to be {devices}'
    )
  return jax.make_mesh(
    (data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3
  )


def plan_mesh(
  data: int = -1, fsdp: int = 1, tensor: int = 1
) -> jax.sharding.AbstractMesh:
  """Returns the shape of a mesh for devices that need not be there.

  Sizes of work are told by it. A `data` of -1 takes what is left of the devices
  of this job, and is 1 where the other two want more of them.

  Raises:
    errors.InputError: if a number is below 1.
  """
  return jax.sharding.AbstractMesh(
    (_ways(data, fsdp, tensor), fsdp, tensor), AXES
  )


def _ways(data: int, fsdp: int, tensor: int) -> int:
  """Returns how many ways the batch is split, with replicated parameters."""
  if min(fsdp, tensor) < 1:
    raise errors.InputError(
      f'mesh has fsdp={fsdp} and tensor={tensor}: expected at least 1'
    )
  if data == -1:
    return max(1, jax.device_count() // (fsdp * tensor))
  if data < 1:
    raise errors.InputError(f'mesh has data={data}: expected at least 1, or -1')
  return data
