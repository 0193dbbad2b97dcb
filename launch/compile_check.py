# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compiles a stage's step for a slice of TPUs, without having one.

Prints bytes of a chip, work, messages and the least time; with --workdir it
writes them to WORKDIR/compile_check.json too. Exits with 1 if the program does
not fit.
"""

import dataclasses
import sys

from absl import flags
import jax
import ml_collections

from launch import cli
from selfexplain_jax import files
from selfexplain_jax.compiled import check
from selfexplain_jax.compiled import programs
from selfexplain_jax.compiled import slices
from selfexplain_jax.models import presets

_TOPOLOGY = flags.DEFINE_string(
  'topology', 'v5e:16x16', 'Kind and shape of the slice, such as v5e:4x4.'
)
_SLICES = flags.DEFINE_integer(
  'num_slices', 1, 'How many such slices.', lower_bound=1
)
_FILE = 'compile_check.json'
_NOWHERE = '-'


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Compiles the program of a stage and says what it takes."""
  cli.require_least(
    config,
    rows_per_chip=1,
    length=0,
    lora_rank=1,
    accumulate=1,
    new_tokens=1,
    positions=1,
    answers=0,
  )
  # What is compiled, and for which chips.
  chip = slices.chip(_TOPOLOGY.value)
  shape = dataclasses.replace(
    presets.shape(config.model), attention=config.attention
  )
  mesh = slices.mesh(_TOPOLOGY.value, _SLICES.value, **config.mesh)
  sizes = ' x '.join(str(size) for size in mesh.devices.shape)
  print(
    f'{config.model} {config.stage} on {_SLICES.value} x {_TOPOLOGY.value}, '
    f'{mesh.size} chips, mesh {sizes} '
    '(data x fsdp x tensor)'
  )
  if dry_run:
    return
  program = programs.program(config, shape, mesh)
  found = check.check(program, chip, mesh.size, _SLICES.value)
  print('\n'.join(check.lines(found)))
  if workdir != _NOWHERE:
    content = {
      'config': config.to_dict(),
      'topology': _TOPOLOGY.value,
      'num_slices': _SLICES.value,
      'chips': mesh.size,
      'mesh': sizes,
      'jax': jax.__version__,
      **found,
    }
    files.write_json(files.path(workdir) / _FILE, content)
  if not found['fits']:
    sys.exit(1)


if __name__ == '__main__':
  cli.launch(
    run,
    config='experiments/compile_check.py:llama3_1_8b/lora',
    workdir=_NOWHERE,
  )
