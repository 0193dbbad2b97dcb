# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Measures the host memory that loading a checkpoint takes.

From the repository root:

  python -m experiments.benchmarks.loading --workdir=/tmp/loading

Writes a random Llama of 1.2 billion parameters in 4 shards of bfloat16, if the
workdir does not have it yet (2.5 GB), and loads it in a process of its own onto
8 forced CPU devices, for each of several meshes and dtypes. On CPU devices what
they hold is memory of the host too. Prints the bytes of the addressable shards,
the peak of anonymous memory above the start, their ratio and the time, and
exits with 1 if any ratio exceeds the bound.
"""

from collections.abc import Sequence
from concurrent import futures
import dataclasses
import multiprocessing
import sys
import threading
import time
import zlib

from absl import app
from absl import flags
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

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the checkpoint.', required=True
)
_WIDTH = flags.DEFINE_integer(
  'width', 2048, 'Of the model; a smaller one makes a quick trial.'
)
_BOUND = flags.DEFINE_float(
  'bound', 1.3, 'Largest ratio of the peak to the bytes of the shards.'
)

_DEVICES = 8
_SHARDS = 4

# data, fsdp, tensor, dtype of the parameters in memory.
_CASES = (
  (1, 8, 1, 'bfloat16'),
  (1, 4, 2, 'bfloat16'),
  (1, 8, 1, 'float32'),
  (2, 2, 2, 'bfloat16'),
)


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
  jax.config.update('jax_num_cpu_devices', _DEVICES)
  mesh = mesh_lib.make_mesh(data, fsdp, tensor)
  jax.block_until_ready(jax.device_put(np.zeros(8), jax.devices()[0]))
  before = peak = _anonymous_bytes()
  done = threading.Event()

  def sample() -> None:
    nonlocal peak
    while not done.wait(0.002):
      peak = max(peak, _anonymous_bytes())

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


def _anonymous_bytes() -> int:
  """Memory of this process that is not mapped from files."""
  with open('/proc/self/status') as file:
    for line in file:
      if line.startswith('RssAnon:'):
        return int(line.split()[1]) * 1024
  raise RuntimeError('no RssAnon in /proc/self/status: expected Linux')


def main(argv: Sequence[str]) -> None:
  """Prints the table and exits with 1 beyond the bound."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  directory = files.path(_WORKDIR.value) / f'llama_{_WIDTH.value}'
  if not (directory / huggingface_config.FILE).exists():
    write(directory, _WIDTH.value)
  count = len(list(directory.glob('*.safetensors')))
  print(f'{count} shards in {directory}, {_DEVICES} CPU devices')
  print('data x fsdp x tensor  dtype     held GB  peak GB  ratio  seconds')
  worst = 0.0
  context = multiprocessing.get_context('spawn')
  for case in _CASES:
    with futures.ProcessPoolExecutor(1, context) as pool:
      found = pool.submit(measure, str(directory), *case).result()
    ratio = found.peak / found.shards
    worst = max(worst, ratio)
    *sizes, dtype = case
    print(
      f'{" x ".join(map(str, sizes)):20}  {dtype:8}  {found.shards / 1e9:7.2f}'
      f'  {found.peak / 1e9:7.2f}  {ratio:5.2f}  {found.seconds:7.1f}',
      flush=True,
    )
  print(f'largest ratio {worst:.2f}, bound {_BOUND.value}')
  if not worst <= _BOUND.value:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)
