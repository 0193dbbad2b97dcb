# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One of two processes that load a model together: run by loading_test.

Arguments: index of the process, port, directory of the model, output.
"""

import json
import math
import pathlib
import sys
from unittest import mock

import jax
from jax.experimental import multihost_utils

from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft
from selfexplain_jax.models import stored

RANK = 4
# data, fsdp, tensor.
MESHES = ((1, 4, 1), (2, 2, 1), (1, 2, 2))


def main(index: str, port: str, directory: str, output: str) -> None:
  """Prints, of each mesh, what was read and what the process holds."""
  jax.config.update('jax_num_cpu_devices', 2)
  jax.distributed.initialize(f'127.0.0.1:{port}', 2, int(index))
  found = {}
  read = stored.Stored.read
  for sizes in MESHES:
    numbers = 0

    def count(self, name, index, out):
      nonlocal numbers
      numbers += out.size
      read(self, name, index, out)

    with mock.patch.object(stored.Stored, 'read', count):
      model = huggingface.load(directory, mesh_lib.make_mesh(*sizes))
    held = 0
    for leaf in jax.tree.leaves(model):
      parts = {str(s.index): s.data.shape for s in leaf.addressable_shards}
      held += sum(map(math.prod, parts.values()))
    name = 'x'.join(map(str, sizes))
    huggingface.save(model, pathlib.Path(output) / name, eos_id=2)
    mesh = mesh_lib.make_mesh(*sizes)
    adapter = lora.initialize(model, RANK, jax.random.key(0), mesh)
    peft.save(adapter, model, pathlib.Path(output) / f'{name}_adapter', 'base')
    multihost_utils.sync_global_devices(name)
    found[name] = {
      'read': numbers,
      'held': held,
      'hash': huggingface.weight_hash(model),
      'saved': huggingface.weight_hash(pathlib.Path(output) / name),
    }
  print(f'result {json.dumps(found)}')


if __name__ == '__main__':
  main(*sys.argv[1:])
