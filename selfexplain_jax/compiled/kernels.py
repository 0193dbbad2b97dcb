# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What kernels take, by formula: a compiler sees nothing of what they do."""

from collections.abc import Sequence
import math

from selfexplain_jax.compiled import hlo
from selfexplain_jax.models import fused_attention

# By part of its name, the products [T, W] x [W, T] of a pass of `splash`: of
# scores and of values; and backward, where scores are made again, of what is
# told of values and of scores.
_PRODUCTS = {'_fwd_': 2, '_dkv_': 4, '_dq_': 3}


def operations(
  kernel: hlo.Instruction, operands: Sequence[hlo.Instruction]
) -> float:
  """Returns the operations of a kernel; 0 for one that is not known."""
  part = _part(kernel)
  if part is None:
    return 0.0
  arrays = _arrays(operands)
  queries = arrays[_queries(arrays)].shape
  seen = _fetches(queries) * fused_attention.block(queries[-2])
  return _PRODUCTS[part] * 2.0 * math.prod(queries) * seen


def moved(
  kernel: hlo.Instruction, operands: Sequence[hlo.Instruction]
) -> float:
  """Returns the bytes of the main memory that a kernel reads and writes.

  Each array is read or written once, but for those of which a block is fetched
  anew for each block that it meets: of `splash` keys and values by each query
  head, and, where gradients of keys and values are made, what is of queries.
  """
  arrays = _arrays(operands)
  times = [1.0] * len(arrays)
  part = _part(kernel)
  if part is not None:
    at = _queries(arrays)
    queries = arrays[at].shape
    for i, array in enumerate(arrays):
      of_keys = i in (at + 1, at + 2)
      if part != '_dkv_' and of_keys:
        heads = queries[-3] / array.shape[-3]
        times[i] = heads * _fetches(queries)
      elif part == '_dkv_' and array.shape[:-2] == queries[:-2] and not of_keys:
        times[i] = _fetches(queries)
  read = sum(
    n * a.bytes for n, a in zip(times, arrays, strict=True) if not a.near
  )
  return read + sum(a.bytes for a in kernel.arrays if not a.near)


def _part(kernel: hlo.Instruction) -> str | None:
  """Which pass of `splash` a kernel is, if any."""
  found = [part for part in _PRODUCTS if part in kernel.name]
  return found[0] if found and 'splash' in kernel.name else None


def _arrays(operands: Sequence[hlo.Instruction]) -> list[hlo.Array]:
  return [a for o in operands for a in o.arrays]


def _queries(arrays: Sequence[hlo.Array]) -> int:
  """Where the queries are, before keys and values: [..., H, T, W].

  They have the most heads, and of several such arrays are the first.
  """
  sizes = [math.prod(a.shape) if len(a.shape) >= 3 else 0 for a in arrays]
  return sizes.index(max(sizes))


def _fetches(queries: tuple[int, ...]) -> float:
  """How many blocks one meets, on average: those before it, and its own.

  Blocks that a causal mask leaves empty are passed over.
  """
  length = queries[-2]
  return (length // fused_attention.block(length) + 1) / 2
