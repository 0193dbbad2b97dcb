# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""How all that the stages' programs take is split, as text.

  python -m tests.compiled.shardings --write

writes tests/compiled/shardings.txt; its diff is what a change of the rules does
to models of real size on real meshes.
"""

from collections.abc import Iterator
import pathlib
import sys
from typing import Any

import jax

from experiments import compile_check
from selfexplain_jax.compiled import programs
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import presets

FILE = pathlib.Path(__file__).parent / 'shardings.txt'
# Sizes of data, fsdp and tensor.
MESHES = {
  'full': (1, 256, 1),
  'lora': (2, 32, 4),
  'capture': (64, 1, 4),
  'patch': (16, 2, 8),
  'decode': (64, 1, 4),
  'dictionary': (1, 64, 1),
}


def text() -> str:
  """Returns a line for each array: its name, dtype, shape, and split."""
  lines = []
  for stage, sizes in MESHES.items():
    mesh = mesh_lib.plan_mesh(*sizes)
    config = compile_check.get_config(f'llama3_1_8b/{stage}')
    shape = presets.shape(config.model)
    made = programs.program(config, shape, mesh)
    lines.append(f'{stage} on {" x ".join(map(str, sizes))}')
    lines += sorted({f'  {line}' for line in _lines(made.arguments)})
  return '\n'.join(lines) + '\n'


def _lines(arguments: Any) -> Iterator[str]:
  leaves = jax.tree_util.tree_leaves_with_path(arguments)
  for path, leaf in leaves:
    if not hasattr(leaf, 'shape'):  # A number that is given with them.
      continue
    name = jax.tree_util.keystr(path, simple=True, separator='.')
    shape = 'x'.join(map(str, leaf.shape))
    yield f'{name} {leaf.dtype}[{shape}] {tuple(leaf.sharding.spec)}'


if __name__ == '__main__':
  if sys.argv[1:] == ['--write']:
    FILE.write_text(text())
  else:
    print(text(), end='')
