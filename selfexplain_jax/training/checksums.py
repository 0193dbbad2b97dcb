# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checksums of arrays, computed where the arrays lie.

Every bit of an array adds its place value times an odd weight that depends on
where it stands, modulo 2^32: so one that is flipped always shows. Sums of whole
numbers are exact in any order, so a checksum depends neither on the mesh nor on
how many processes there are, and no host needs to hold the array.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import hosts

# Multipliers of the finalizer of MurmurHash3, and of splitmix64, cut to 32 bit.
_MIXES = ((0x85EBCA6B, 0xC2B2AE35), (0x7FEB352D, 0x846CA68B))
_SEEDS = (0x9E3779B9, 0x243F6A88)


def of(arrays: dict[str, Any]) -> dict[str, str]:
  """Returns the checksum of each array: its dtype, shape, and sums as hex.

  Args:
    arrays: of numbers or truth values, at most 32 bits each, by name.
  """
  values = list(arrays.values())
  found = hosts.fetch(_sums(values))
  return {
    name: f'{value.dtype}{list(value.shape)}:'
    + ''.join(f'{s:08x}' for s in two)
    for (name, value), two in zip(
      arrays.items(), (sums.tolist() for sums in found), strict=True
    )
  }


@jax.jit
def _sums(values: list[jax.Array]) -> list[jax.Array]:
  """Two sums of each array, u32[2]."""
  return [_sum(jnp.asarray(value)) for value in values]


def _sum(value: jax.Array) -> jax.Array:
  bits = value
  if value.dtype != jnp.bool_:
    width = np.dtype(value.dtype).itemsize * 8
    bits = jax.lax.bitcast_convert_type(value, jnp.dtype(f'uint{width}'))
  bits = bits.astype(jnp.uint32)
  place, stride = jnp.zeros(value.shape, jnp.uint32), 1
  for axis in reversed(range(value.ndim)):
    along = jax.lax.broadcasted_iota(jnp.uint32, value.shape, axis)
    place += along * np.uint32(stride % 2**32)
    stride *= value.shape[axis]
  sums = [
    jnp.sum(bits * _weight(place, seed, mix), dtype=jnp.uint32)
    for seed, mix in zip(_SEEDS, _MIXES, strict=True)
  ]
  return jnp.stack(sums)


def _weight(place: jax.Array, seed: int, mix: tuple[int, int]) -> jax.Array:
  """An odd number for each place."""
  x = place + np.uint32(seed)
  x = (x ^ (x >> 16)) * np.uint32(mix[0])
  x = (x ^ (x >> 13)) * np.uint32(mix[1])
  return (x ^ (x >> 16)) | np.uint32(1)
