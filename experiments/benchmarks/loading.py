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
import multiprocessing
import sys

from absl import app
from absl import flags

from experiments.benchmarks import checkpoint
from selfexplain_jax import files
from selfexplain_jax.models import huggingface_config

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the checkpoint.', required=True
)
_WIDTH = flags.DEFINE_integer(
  'width', 2048, 'Of the model; a smaller one makes a quick trial.'
)
_BOUND = flags.DEFINE_float(
  'bound', 1.3, 'Largest ratio of the peak to the bytes of the shards.'
)

# data, fsdp, tensor, dtype of the parameters in memory.
_CASES = (
  (1, 8, 1, 'bfloat16'),
  (1, 4, 2, 'bfloat16'),
  (1, 8, 1, 'float32'),
  (2, 2, 2, 'bfloat16'),
)


def main(argv: Sequence[str]) -> None:
  """Prints the table and exits with 1 beyond the bound."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  directory = files.path(_WORKDIR.value) / f'llama_{_WIDTH.value}'
  if not (directory / huggingface_config.FILE).exists():
    checkpoint.write(directory, _WIDTH.value)
  count = len(list(directory.glob('*.safetensors')))
  print(f'{count} shards in {directory}, {checkpoint.DEVICES} CPU devices')
  print('data x fsdp x tensor  dtype     held GB  peak GB  ratio  seconds')
  worst = 0.0
  context = multiprocessing.get_context('spawn')
  for case in _CASES:
    with futures.ProcessPoolExecutor(1, context) as pool:
      found = pool.submit(checkpoint.measure, str(directory), *case).result()
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
