# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Operations that matrix products and convolutions of a program take.

TPU programs have products as convolutions, with windows that pad or dilate:
what meets only padding is no work.
"""

import math
import re

import numpy as np

from selfexplain_jax.compiled import hlo


def operations(computation: hlo.Computation, one: hlo.Instruction) -> float:
  """Operations of a matrix product or a convolution."""
  left = computation.by_name[one.operands[0]].array
  right = computation.by_name[one.operands[1]].array
  if one.opcode == 'dot':
    within = one.numbers('lhs_contracting_dims')
    return (
      2.0
      * math.prod(one.array.shape)
      * math.prod(left.shape[axis] for axis in within)
    )
  labels = re.search(r'dim_labels=(\w+)_(\w+)->(\w+)', one.rest)
  assert labels is not None
  inputs, kernel, output = labels[1], labels[2], labels[3]
  made = dict(zip(output, one.array.shape, strict=True))
  taken = dict(zip(inputs, left.shape, strict=True))
  weights = dict(zip(kernel, right.shape, strict=True))
  pairs = 1.0
  for axis in sorted(set(kernel) - {'i', 'o'}):
    window = _window(one.rest, int(axis))
    pairs *= _pairs(made[axis], weights[axis], taken[axis], *window)
  groups = int(one.attribute('batch_group_count') or 1)
  return 2.0 * made['b'] * made['f'] * weights['i'] * pairs / groups


def _window(rest: str, axis: int) -> tuple[int, int, int, int]:
  """Stride, padding before, and dilations of input and kernel, of an axis."""
  window = re.search(r'window={([^}]*)}', rest)
  fields = dict(
    part.split('=') for part in (window[1].split() if window else [])
  )

  def field(name: str, default: str) -> str:
    return fields[name].split('x')[axis] if name in fields else default

  before = field('pad', '0_0').rpartition('_')[0]
  return (
    int(field('stride', '1')),
    int(before),
    int(field('lhs_dilate', '1')),
    int(field('rhs_dilate', '1')),
  )


def _pairs(
  made: int,
  kernel: int,
  taken: int,
  stride: int,
  before: int,
  dilated: int,
  kernel_dilated: int,
) -> int:
  """How often an element of the kernel meets one of the input, on an axis."""
  out, at = np.arange(made)[:, None], np.arange(kernel)[None]
  place = out * stride + at * kernel_dilated - before
  real = (place >= 0) & (place % dilated == 0) & (place // dilated < taken)
  return int(np.count_nonzero(real))
