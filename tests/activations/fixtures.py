# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A small store with a short last shard, for the tests of this package."""

import dataclasses
import pathlib

import numpy as np

from selfexplain_jax.activations import layout
from selfexplain_jax.activations import writer

ROWS = 11
SPEC = layout.StoreSpec(
  target='tiny',
  weight_hash='aa',
  tokenizer_hash='bb',
  sites=('embed', 'resid_post'),
  layers=(0, 2),
  width=3,
  dtype='float32',
  rows_per_shard=4,
  layered=('resid_post',),
)


def with_dtype(dtype: str) -> layout.StoreSpec:
  return dataclasses.replace(SPEC, dtype=dtype)


def rows_of(
  spec: layout.StoreSpec = SPEC, rows: int = ROWS
) -> dict[str, np.ndarray]:
  """All rows of a store, the same at every call."""
  rng = np.random.default_rng(7)
  arrays = {}
  for name in spec.arrays:
    shape = (rows, *spec.item_shape(name))
    arrays[name] = (10 * rng.standard_normal(shape)).astype(
      spec.item_dtype(name)
    )
  return arrays


def shard_of(
  arrays: dict[str, np.ndarray], spec: layout.StoreSpec, index: int
) -> dict[str, np.ndarray]:
  start, stop = spec.shard_range(index, len(arrays['token_id']))
  return {name: values[start:stop] for name, values in arrays.items()}


def write(
  directory: pathlib.Path,
  spec: layout.StoreSpec = SPEC,
  rows: int = ROWS,
  order: tuple[int, ...] = (2, 0, 1),
) -> dict[str, np.ndarray]:
  """Writes a whole store, shards in `order`; returns what it holds."""
  arrays = rows_of(spec, rows)
  store = writer.StoreWriter(directory, spec, rows)
  for index in order:
    store.write_shard(index, shard_of(arrays, spec, index))
  store.finish()
  return arrays


def flip(file: pathlib.Path, offset: int) -> None:
  """Flips one bit of the byte at `offset`."""
  content = bytearray(file.read_bytes())
  content[offset] ^= 1
  file.write_bytes(content)


def tree(directory: pathlib.Path) -> dict[str, bytes]:
  """Every file under `directory` with its bytes."""
  return {
    str(file.relative_to(directory)): file.read_bytes()
    for file in sorted(directory.rglob('*'))
    if file.is_file()
  }
