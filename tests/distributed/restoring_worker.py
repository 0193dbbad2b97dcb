# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Restores a state on several meshes, in one process or as one of two.

python -m tests.distributed.restoring_worker FOLDER DEVICES MESHES \
  [PROCESS PORT]

MESHES are sizes such as 1x8x1,2x2x2. The state of the last checkpoint is
restored on each, compared, advanced by a step and saved. Prints a line
`result JSON`: the steps that were restored, and the checksums of what was saved
after each.
"""

import contextlib
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
import numpy as np

from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.training import checkpoints
from selfexplain_jax.training import checksums

_SPLIT = {
  'matrix': PartitionSpec('fsdp', 'tensor'),
  'stack': PartitionSpec(None, ('fsdp', 'tensor')),
  'odd': PartitionSpec(),  # Whole on every device.
  'count': PartitionSpec(),
  'bits': PartitionSpec(('data', 'fsdp')),
}


def state(step: int) -> dict[str, np.ndarray]:
  """The state after some steps, worked out without devices."""
  row = np.arange(64 * 128, dtype=np.float32)
  return {
    'matrix': (row / 8 + step).reshape(64, 128),
    'stack': (row[:512] % 13 + step).reshape(2, 16, 16).astype(jnp.bfloat16),
    'odd': row[:7] + step,
    'count': np.array(step, np.int32),
    'bits': (row[:16] + step).astype(np.uint8),
  }


@jax.jit
def _advance(tree: dict[str, jax.Array]) -> dict[str, jax.Array]:
  return jax.tree.map(lambda x: x + jnp.ones((), x.dtype), tree)


def _start(mesh: jax.sharding.Mesh) -> dict[str, jax.Array]:
  return {
    name: jax.make_array_from_callback(
      value.shape, NamedSharding(mesh, _SPLIT[name]), value.__getitem__
    )
    for name, value in state(0).items()
  }


def main() -> None:
  """Restores, advances and saves."""
  folder, devices, meshes, *process = sys.argv[1:]
  jax.config.update('jax_num_cpu_devices', int(devices))
  if process:
    hosts.initialize(2, f'127.0.0.1:{process[1]}', int(process[0]), 30)
  steps, sums = [], []
  for sizes in meshes.split(','):
    data, fsdp, tensor = map(int, sizes.split('x'))
    start = _start(mesh_lib.make_mesh(data, fsdp, tensor))
    with contextlib.closing(
      checkpoints.Checkpoints(pathlib.Path(folder))
    ) as made:
      step, tree, notes = made.restore(start) or (0, start, {'seen': 0})
      assert notes == {'seen': step}, notes
      for name, value in state(step).items():
        assert tree[name].sharding == start[name].sharding, name
        np.testing.assert_array_equal(hosts.fetch(tree[name]), value, name)
      tree = _advance(tree)
      made.save(step + 1, tree, {'seen': step + 1})
    steps.append(step)
    sums.append(checksums.of(tree))
  print(f'\nresult {json.dumps([steps, sums])}', flush=True)


if __name__ == '__main__':
  main()
