# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Measures what checkpoints cost the steps, and that memory stays flat.

From the repository root:

  python -m experiments.benchmarks.saving --workdir=/tmp/saving

Trains a state that is split over 8 forced CPU devices and saves it after every
step, many times. Prints how long a save kept the steps, how long it took until
it was whole, and the anonymous memory and the arrays that are alive along the
way; exits with 1 if memory goes on growing once it has settled.
"""

import functools
import statistics
import sys
import time

from absl import app
from absl import flags
from absl import logging
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from experiments.benchmarks import checkpoint
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.training import checkpoints

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the checkpoints.', required=True
)
_CYCLES = flags.DEFINE_integer('cycles', 200, 'Saves.', lower_bound=20)
_MEGABYTES = flags.DEFINE_integer('megabytes', 48, 'Of the state.')
_BOUND = flags.DEFINE_float(
  'bound', 1.1, 'Most that memory may be of what it was after a fifth.'
)
_LEAVES = 6


@functools.partial(jax.jit, donate_argnums=0)
def _step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
  return jax.tree.map(lambda x: x + 1.0, state)


def main(argv: list[str]) -> None:
  """Saves, and prints what it took."""
  del argv
  logging.set_verbosity(logging.WARNING)  # Orbax tells a lot.
  jax.config.update('jax_num_cpu_devices', checkpoint.DEVICES)
  mesh = mesh_lib.make_mesh(1, -1)
  split = NamedSharding(mesh, PartitionSpec('fsdp'))
  rows = _MEGABYTES.value * 2**20 // 4 // 1024 // _LEAVES // 8 * 8
  state = {
    f'leaf_{i}': jax.device_put(jnp.zeros((rows, 1024)), split)
    for i in range(_LEAVES)
  }
  saved = checkpoints.Checkpoints(files.path(_WORKDIR.value) / 'checkpoints')
  kept, whole, settled = [], [], 0
  print(f'{"saves":>6} {"RssAnon MB":>10} {"arrays":>6}')
  for cycle in range(1, _CYCLES.value + 1):
    state = _step(state)
    jax.block_until_ready(state)
    started = time.perf_counter()
    saved.save(cycle, state, {})
    kept.append(time.perf_counter() - started)
    saved.wait()
    whole.append(time.perf_counter() - started)
    if cycle * 10 % _CYCLES.value == 0:
      memory = checkpoint.anonymous_bytes()
      print(f'{cycle:6} {memory / 1e6:10.0f} {len(jax.live_arrays()):6}')
      if cycle * 5 == _CYCLES.value:
        settled = memory
  saved.close()
  ratio = memory / settled
  print(
    f'a save kept the steps {statistics.median(kept):.3f} s and was whole '
    f'after {statistics.median(whole):.3f} s, medians of {_CYCLES.value}; '
    f'memory {ratio:.3f} of what it was after a fifth'
  )
  if ratio > _BOUND.value:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main)
