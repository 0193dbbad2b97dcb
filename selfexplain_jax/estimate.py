# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How long work will take, roughly: to tell minutes from days before it starts.

Of a transformer's work only the products with its weights are counted: 2
operations a weight and token forward, and twice as many backward. Of memory,
what parameters, their gradients and the optimizer take is exact; what a step
takes besides is roughly the residual streams that it keeps, and the logits.
"""

import dataclasses
import math
import os
from typing import Any

from flax import nnx
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib

# Operations per second that one device is assumed to reach, by platform. The
# CPU's is that of one core, which is all that a small model keeps busy; those
# of accelerators are about a tenth of what their makers state for bfloat16.
_OPERATIONS_PER_SECOND = {'cpu': 3e10, 'gpu': 5e13, 'tpu': 3e13}
# Tokens that take as long to work on as getting weights out of the main memory.
# Of accelerators operations over bytes per second, of bfloat16, for each time
# that weights move: a GPU's loop first copies those of a layer out of their
# stack. On an H200, batches of 550 tokens of an 8B model left two thirds of
# what its products can do unused.
_READING_TOKENS = {'cpu': 16, 'gpu': 512, 'tpu': 256}
# That a program takes to compile: what runs on CPUs is small.
_COMPILING_SECONDS = {'cpu': 1, 'gpu': 20, 'tpu': 20}


def minutes(flops: float, mesh: mesh_lib.AnyMesh | None = None) -> float:
  """Returns how many minutes so many operations take.

  Compilation is not counted. Expect to be wrong by a factor of 3.

  Args:
    flops: the operations.
    mesh: the devices that they are for: those of this job, or if there are more
      of them, TPUs that are elsewhere; None for those of this job.
  """
  platform, count = jax.devices()[0].platform, jax.device_count()
  if mesh is not None and mesh.size > count:
    platform, count = 'tpu', mesh.size
  rate = _OPERATIONS_PER_SECOND.get(platform, _OPERATIONS_PER_SECOND['gpu'])
  return flops / (rate * count) / 60


def compiling() -> float:
  """Operations that devices could do while a program is compiled."""
  platform = jax.devices()[0].platform
  platform = platform if platform in _COMPILING_SECONDS else 'gpu'
  rate = _OPERATIONS_PER_SECOND[platform] * jax.device_count()
  return _COMPILING_SECONDS[platform] * rate


def reading() -> float:
  """Tokens that a device could work on while it reads a layer's weights."""
  platform = jax.devices()[0].platform
  return _READING_TOKENS.get(platform, _READING_TOKENS['gpu'])


def forward(weights: float, tokens: float) -> float:
  """Returns the operations of running a model on some tokens."""
  return 2.0 * weights * tokens


def training(weights: float, tokens: float) -> float:
  """Returns the operations of training a model on some tokens."""
  return 3.0 * forward(weights, tokens)


@dataclasses.dataclass(frozen=True)
class Memory:
  """What arrays take, in bytes.

  Attributes:
    parameters: how many numbers they hold.
    total: all of them, each counted once.
    device: what one device of the mesh holds of them.
  """

  parameters: int
  total: int
  device: int

  def __add__(self, other: 'Memory') -> 'Memory':
    return Memory(
      self.parameters + other.parameters,
      self.total + other.total,
      self.device + other.device,
    )


def memory(tree: Any, mesh: mesh_lib.AnyMesh) -> Memory:
  """Returns what a tree of parameters takes, which may be abstract.

  Args:
    tree: a module, or an optimizer's memory of one; other arrays than
      parameters are whole on each device.
    mesh: what it is sharded over by `axis_rules`.
  """
  found = Memory(0, 0, 0)
  leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, nnx.Variable))
  for leaf in leaves:
    value, axes = leaf, None
    if isinstance(leaf, nnx.Variable):
      value, axes = leaf.get_value(), leaf.axes
    shape = getattr(value, 'shape', None)
    if shape is None:  # Where an optimizer keeps nothing.
      continue
    part = shape
    if axes is not None:
      part = axis_rules.sharding(axes, shape, mesh).shard_shape(shape)
    size = np.dtype(value.dtype).itemsize
    count = math.prod(shape)
    found += Memory(count, count * size, math.prod(part) * size)
  return found


def require_room(taken: float, mesh: mesh_lib.AnyMesh) -> None:
  """Checks that devices can hold what has to be there before any step.

  Args:
    taken: bytes on a device: of weights, and of what an optimizer remembers.
    mesh: the devices. Of more than this job has, which are elsewhere, nothing
      is known.

  Raises:
    errors.InputError: if a device has less than that.
  """
  room = _room()
  if mesh.size <= jax.device_count() and taken > room:
    raise errors.InputError(
      f'weights and optimizer take {gigabytes(taken)} on each of {mesh.size} '
      f'devices, which have {gigabytes(room)}: expected config.mesh to split '
      'them over more, or fewer weights that are trained'
    )


def machine_bytes() -> int:
  """Returns the main memory of this machine, in bytes."""
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _room() -> float:
  """Bytes of a device; those of the CPU share its machine's."""
  device = jax.local_devices()[0]
  if device.platform == 'cpu':
    return machine_bytes() / jax.local_device_count()
  return (device.memory_stats() or {}).get('bytes_limit', math.inf)


def step_bytes(
  config: config_lib.DecoderConfig,
  rows: int,
  length: int,
  mesh: mesh_lib.AnyMesh,
  trained: bool,
) -> float:
  """Returns about what a pass over a batch takes on one device, in bytes.

  Args:
    config: of the decoder.
    rows: of the whole batch.
    length: tokens of each.
    mesh: what the batch is sharded over, if its rows divide evenly.
    trained: whether gradients are taken: then every block's residual stream is
      kept, and logits, of all tokens at most, are formed in float32, as their
      gradients are.
  """
  batch = axis_rules.sharding(('batch', 'sequence'), (rows, length), mesh)
  own = math.prod(batch.shard_shape((rows, length)))
  stream = own * config.width * np.dtype(config.dtype).itemsize
  if not trained:
    return 4 * stream
  return config.layers * stream + 8 * own * config.vocabulary


def gigabytes(size: float) -> str:
  """Writes a number of bytes as GB, to three digits."""
  return f'{size / 1e9:.3g} GB'
