# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The device mesh: `data` x `fsdp` x `tensor`. One device is a 1x1x1 mesh."""

import jax
from jax.sharding import AxisType

from selfexplain_jax import errors

AXES = ('data', 'fsdp', 'tensor')


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
  if min(fsdp, tensor) < 1:
    raise errors.InputError(
      f'mesh has fsdp={fsdp} and tensor={tensor}: expected at least 1'
    )
  devices = jax.device_count()
  if data == -1:
    data = devices // (fsdp * tensor)
  if data * fsdp * tensor != devices:
    raise errors.InputError(
      f'mesh {data} x {fsdp} x {tensor} (data x fsdp x tensor) does not match '
      f'the {devices} devices of this job: expected the product to be {devices}'
    )
  return jax.make_mesh(
    (data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3
  )
