# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compiles a program for chips and says whether it fits and what it takes."""

import re
import time
from typing import Any

import jax

from selfexplain_jax.compiled import chips
from selfexplain_jax.compiled import costs as costs_lib
from selfexplain_jax.compiled import programs
from selfexplain_jax.compiled import roofline as roofline_lib


def check(
  program: programs.Program,
  chip: chips.Chip,
  chips_in_all: int,
  num_slices: int,
) -> dict[str, Any]:
  """Compiles a program.

  Args:
    program: with arguments on a mesh of the chips.
    chip: their kind.
    chips_in_all: of all slices.
    num_slices: slices.

  Returns:
    JSON. `fits`; if it does not, `why`, in the compiler's words. If it does,
    bytes of a chip; and of one run on one chip the `operations` of products,
    `operations_by_formula`, bytes of main memory, messages, seconds at least,
    what `bound` that is, and how much of its work the program does in a second
    on a chip, at most.
  """
  started = time.monotonic()
  try:
    compiled = program.lower().compile()
  except jax.errors.JaxRuntimeError as e:
    if 'RESOURCE_EXHAUSTED' not in str(e):
      raise
    return {'fits': False, 'why': _why(str(e))}
  taken: Any = compiled.memory_analysis()
  held = {
    'arguments': taken.argument_size_in_bytes,
    'outputs': taken.output_size_in_bytes,
    'aliased': taken.alias_size_in_bytes,
    'temporaries': taken.temp_size_in_bytes,
    'code': taken.generated_code_size_in_bytes,
  }
  total = sum(held.values()) - 2 * held['aliased']
  a_slice = chips_in_all // num_slices if num_slices > 1 else None
  costs = costs_lib.count(compiled.as_text() or '', program.trips, a_slice)
  least = roofline_lib.roofline(costs, chip)
  return {
    'fits': total <= chip.memory,
    'bytes': {**held, 'total': total},
    'memory': chip.memory,
    'operations': costs.flops,
    'operations_by_formula': program.operations / chips_in_all,
    'memory_bytes': costs.bytes,
    'collectives': roofline_lib.collectives(costs),
    'kernels': {k: n for k, n in costs.kernels.items() if 'tpu_custom' in k},
    'unknown_loops': costs.loops,
    'seconds': {
      'compute': least.compute,
      'memory': least.memory,
      'links': least.links,
      'network': least.network,
    },
    'bound': least.bound,
    'unit': program.unit,
    'per_second_and_chip': program.count / chips_in_all / least.seconds,
    'compile_seconds': time.monotonic() - started,
  }


def _why(text: str) -> str:
  """The sentence of the compiler that has the sizes."""
  found = re.search(r'(Used [^.]*\.?\d*\w* of [^.]*\.?\d*\w* \w+)', text)
  if found:
    return found[1]
  return ' '.join(text.split())[:200]


def lines(found: dict[str, Any]) -> list[str]:
  """Returns what `check` found, for reading."""
  if 'bytes' not in found:
    return [f'does not fit: {found["why"]}']
  held, seconds = found['bytes'], found['seconds']
  share = found['operations'] / found['operations_by_formula']
  return [
    f'GB per chip: arguments {_giga(held["arguments"])} + outputs '
    f'{_giga(held["outputs"])} - aliased {_giga(held["aliased"])} + '
    f'temporaries {_giga(held["temporaries"])} + code {_giga(held["code"])} = '
    f'{_giga(held["total"])} of {_giga(found["memory"])}: '
    f'{"fits" if found["fits"] else "does not fit"}',
    f'a run on a chip: {found["operations"]:.3g} operations, {share:.3f} of '
    f'what the formula has; {_giga(found["memory_bytes"])} GB of main memory',
    *(
      f'  {name}: {one["times"]} times, {_giga(one["bytes"])} GB sent'
      for name, one in found['collectives'].items()
    ),
    'seconds at least: '
    + ', '.join(f'{name} {value:.3g}' for name, value in seconds.items())
    + f'; bound by {found["bound"]}',
    f'at most {found["per_second_and_chip"]:,.4g} {found["unit"]} per second '
    f'and chip; compiled in {found["compile_seconds"]:.0f} s',
  ]


def _giga(value: float) -> str:
  return f'{value / 1e9:.3g}'
