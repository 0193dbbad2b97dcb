# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What kernels take, by formula: a compiler sees nothing of what they do."""

from collections.abc import Sequence
import math
import re

from selfexplain_jax.compiled import hlo

# By part of its name, the products [T, W] x [W, T] of a pass of `splash`: of
# scores and of values; and backward, where scores are made again, of what is
# told of values and of scores.
_PRODUCTS = {'_fwd_': 2, '_dkv_': 4, '_dq_': 3}

# Positions of a block, as the kernel says them in its text.
_BLOCK = re.compile(r'block_q\w*\W+(\d+)')


def operations(
  kernel: hlo.Instruction, operands: Sequence[hlo.Instruction]
) -> float:
  """Returns the operations of a kernel; 0 for one that is not known.

  Blocks that a causal mask leaves empty are passed over.
  """
  found = [n for part, n in _PRODUCTS.items() if part in kernel.name]
  block = _BLOCK.search(kernel.rest)
  if 'splash' not in kernel.name or not found or not block:
    return 0.0
  # Queries have the most heads: [..., H, T, W].
  shapes = [a.shape for o in operands for a in o.arrays if len(a.shape) >= 3]
  queries = max(shapes, key=math.prod)
  blocks = queries[-2] / int(block[1])
  seen = (blocks + 1) / (2 * blocks)
  return found[0] * 2.0 * math.prod(queries) * queries[-2] * seen
