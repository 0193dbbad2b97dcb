# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A random checkpoint, and the host memory that loading it takes."""

import dataclasses
import threading
import time
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.models import shards
from selfexplain_jax.models import tensor_names

DEVICES = 8  # That CPUs are made to look like.
_SHARDS = 4


@dataclasses.dataclass(frozen=True)
class Measured:
  """What one load took.

  Attributes:
    shards: bytes of the addressable shards.
    peak: bytes of anonymous memory, at most, above the start.
    seconds: that it took.
  """

  shards: int
  peak: int
  seconds: float


def write(directory: files.PathLike, width: int) -> None:
  """Writes the checkpoint, one tensor at a time."""
  config = config_lib.DecoderConfig(
    vocabulary=128_256,
    width=width,
    layers=16,
    heads=32,
    kv_heads=8,
    head_width=width // 32,
    mlp_width=4 * width,
    dtype='bfloat16',
    parameter_dtype='bfloat16',
  )
  specs = {
    name: (tensors.shape, config.parameter_dtype)
    for tensors, _ in tensor_names.parameters(decoder.abstract(config))
    for name in tensors.names
  }
  total = sum(2 * int(np.prod(shape)) for shape, _ in specs.values())

  def draw(name: str) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    value = random.standard_normal(specs[name][0], np.float32)
    return (value * 0.02).astype(jnp.bfloat16)

  # A little more than a quarter, since shards are not filled to the brim.
  shards.write(directory, specs, draw, int(total / _SHARDS * 1.1))
  huggingface_config.write_config(config, directory, eos_id=2)


def measure(
  directory: str, data: int, fsdp: int, tensor: int, dtype: str
) -> Measured:
  """Loads the checkpoint; to be called in a process without any devices yet."""
  jax.config.update('jax_num_cpu_devices', DEVICES)
  mesh = mesh_lib.make_mesh(data, fsdp, tensor)
  jax.block_until_ready(jax.device_put(np.zeros(8), jax.devices()[0]))
  before = peak = anonymous_bytes()
  done = threading.Event()

  def sample() -> None:
    nonlocal peak
    while not done.wait(0.002):
      peak = max(peak, anonymous_bytes())

  thread = threading.Thread(target=sample)
  thread.start()
  start = time.perf_counter()
  model = huggingface.load(directory, mesh, parameter_dtype=dtype)
  seconds = time.perf_counter() - start
  done.set()
  thread.join()
  held = sum(
    shard.data.nbytes
    for leaf in jax.tree.leaves(model)
    for shard in leaf.addressable_shards
  )
  return Measured(held, peak - before, seconds)


def anonymous_bytes() -> int:
  """Memory of this process that is not mapped from files."""
  with open('/proc/self/status') as file:
    for line in file:
      if line.startswith('RssAnon:'):
        return int(line.split()[1]) * 1024
  raise RuntimeError('no RssAnon in /proc/self/status: expected Linux')
