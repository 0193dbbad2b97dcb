# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Puts stored parameters on devices, each device's part straight to it.

Beside what the devices hold, a host needs memory for one part of one parameter
at a time.
"""

from typing import Any

import jax
import numpy as np

from selfexplain_jax.models import stored as stored_lib
from selfexplain_jax.models import tensor_names


def place(
  stored: stored_lib.Stored,
  tensors: tensor_names.Tensors,
  param: Any,
  sharding: jax.sharding.Sharding,
) -> jax.Array:
  """Reads a parameter, of it what the devices of this process hold.

  Args:
    stored: where it is stored.
    tensors: in which tensors; one that is not there is zero.
    param: its shape and dtype in memory.
    sharding: where it goes.
  """
  devices: dict[tuple[tuple[int, int], ...], list[jax.Device]] = {}
  indices = sharding.addressable_devices_indices_map(param.shape)
  for device, index in indices.items():
    bounds = tuple(
      axis.indices(size)[:2]
      for axis, size in zip(index or (), param.shape, strict=True)
    )
    devices.setdefault(bounds, []).append(device)
  arrays: list[jax.Array] = []
  for bounds, same in devices.items():  # What is replicated is read once.
    part = np.empty([stop - start for start, stop in bounds], param.dtype)
    _fill(part, stored, tensors, [slice(*one) for one in bounds])
    arrays += [jax.device_put(part, device) for device in same]
    # Before the next is read, so that its memory can be that of this one.
    jax.block_until_ready(arrays)
  return jax.make_array_from_single_device_arrays(param.shape, sharding, arrays)


def _fill(
  part: np.ndarray,
  stored: stored_lib.Stored,
  tensors: tensor_names.Tensors,
  index: list[slice],
) -> None:
  """Reads the part of a parameter at `index`, layer by layer."""
  if not tensors.stacked:
    stored.read(tensors.names[0], tuple(index), part)
    return
  layers, *rest = index
  order = tuple(reversed(rest)) if tensors.transposed else tuple(rest)
  for name, one in zip(tensors.names[layers], part, strict=True):
    if name in stored:
      stored.read(name, order, one.T if tensors.transposed else one)
    else:
      one[...] = 0
