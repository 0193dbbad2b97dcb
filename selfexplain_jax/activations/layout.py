# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What an activation store is made of: its arrays, their shards and chunks.

A store is a folder of zarr3 arrays that share their first axis, R rows, one
row a token. An array is cut along R into shards, each one object that one
host writes whole, and a shard into chunks of one layer, each with its own
checksum. docs/data_formats.md has the normative description.
"""

from collections.abc import Mapping
import dataclasses
import os
import re
from typing import Any

import ml_dtypes
import numpy as np
import tensorstore as ts

from selfexplain_jax import errors
from selfexplain_jax import files

# What every row has besides activations, in the order they are listed.
INDEX_DTYPES: Mapping[str, np.dtype] = {
  'token_id': np.dtype(np.int32),
  'document': np.dtype(np.int64),
  'position': np.dtype(np.int32),
}
ACTIVATION_DTYPES: Mapping[str, np.dtype] = {
  'float32': np.dtype(np.float32),
  'bfloat16': np.dtype(ml_dtypes.bfloat16),
}
# Measured: blocks of 256 rows of one layer read in a fraction of a ms.
_MAX_CHUNK_ROWS = 256


@dataclasses.dataclass(frozen=True)
class StoreSpec:
  """What is in a store, known before any of it is computed.

  Attributes:
    target: id of the target model, for people to read.
    weight_hash: digest of the weights that made the activations.
    tokenizer_hash: digest of the tokenizer that made the token ids.
    sites: the captured sites, one array each.
    layers: the captured layers, ascending, the layer axis of every array.
    width: D, the last axis of every array.
    dtype: 'float32' or 'bfloat16'.
    rows_per_shard: rows of every shard but the last, best a multiple of 256.
    layered: those of `sites` that have a layer axis; `embed` has none.

  Raises:
    errors.InputError: if a field cannot be used; the message names it.
  """

  target: str
  weight_hash: str
  tokenizer_hash: str
  sites: tuple[str, ...]
  layers: tuple[int, ...]
  width: int
  dtype: str
  rows_per_shard: int
  layered: tuple[str, ...]

  def __post_init__(self):
    for name in ('target', 'weight_hash', 'tokenizer_hash'):
      self._check(name, isinstance(getattr(self, name), str), 'a string')
    for name in ('width', 'rows_per_shard'):
      self._check(name, _is_count(getattr(self, name), 1), 'an integer >= 1')
    self._check(
      'dtype',
      self.dtype in tuple(ACTIVATION_DTYPES),
      f'one of {", ".join(ACTIVATION_DTYPES)}',
    )
    self._check(
      'sites',
      bool(self.sites) and _are_names(self.sites),
      'different lower-case names',
    )
    self._check(
      'layered',
      _are_names(self.layered) and set(self.layered) <= set(self.sites),
      'some of the sites',
    )
    self._check(
      'layers',
      isinstance(self.layers, tuple)
      and all(_is_count(layer, 0) for layer in self.layers)
      and sorted(set(self.layers)) == list(self.layers)
      and bool(self.layers) >= bool(self.layered),
      'ascending layers, at least one if a site is layered',
    )

  def _check(self, name: str, good: bool, expected: str) -> None:
    if not good:
      raise errors.InputError(
        f'activation store: {name} is {getattr(self, name)!r}, '
        f'expected {expected}'
      )

  @property
  def arrays(self) -> tuple[str, ...]:
    """Names of all arrays: the index arrays, then the sites."""
    return (*INDEX_DTYPES, *self.sites)

  @property
  def chunk_rows(self) -> int:
    """Rows of a chunk: the largest divisor of a shard's rows up to 256."""
    return largest_divisor(self.rows_per_shard, _MAX_CHUNK_ROWS)

  def item_shape(self, array: str) -> tuple[int, ...]:
    """Shape of one row of `array`: `()`, `(D,)` or `(L, D)`."""
    if array in INDEX_DTYPES:
      return ()
    if array in self.layered:
      return (len(self.layers), self.width)
    return (self.width,)

  def item_dtype(self, array: str) -> np.dtype:
    """Type of the values of `array`."""
    return INDEX_DTYPES.get(array) or ACTIVATION_DTYPES[self.dtype]

  def shards(self, rows: int) -> int:
    """Number of shards that `rows` rows take."""
    return -(-rows // self.rows_per_shard)

  def shard_range(self, index: int, rows: int) -> tuple[int, int]:
    """First row of shard `index` of a store of `rows` rows, and its end."""
    start = index * self.rows_per_shard
    return start, min(start + self.rows_per_shard, rows)

  def shard_files(self, index: int) -> tuple[str, ...]:
    """Objects that hold shard `index`, relative to the store, by array."""
    return tuple(
      '/'.join([name, 'c', str(index), *('0' for _ in self.item_shape(name))])
      for name in self.arrays
    )


def array_metadata(
  shape: tuple[int, ...],
  dtype: np.dtype,
  shard_rows: int,
  chunk_rows: int,
) -> dict[str, Any]:
  """Returns the zarr3 metadata of an array sharded along its first axis.

  Args:
    shape: `(R,)`, `(R, D)` or `(R, L, D)`.
    dtype: type of the values.
    shard_rows: rows of one stored object.
    chunk_rows: rows of one checked and decoded unit, a divisor of shard_rows.
  """
  item = shape[1:]
  chunk = (chunk_rows, 1, *item[1:]) if len(item) == 2 else (chunk_rows, *item)
  little_endian = {'name': 'bytes', 'configuration': {'endian': 'little'}}
  checked = [little_endian, {'name': 'crc32c'}]
  return {
    'shape': shape,
    'data_type': dtype.name,
    'fill_value': 0,
    'chunk_grid': {
      'name': 'regular',
      'configuration': {'chunk_shape': (shard_rows, *item)},
    },
    'codecs': [
      {
        'name': 'sharding_indexed',
        'configuration': {
          'chunk_shape': chunk,
          'codecs': checked,
          'index_codecs': checked,
          'index_location': 'end',
        },
      }
    ],
  }


def open_array(
  directory: files.PathLike,
  metadata: dict[str, Any] | None,
  context: ts.Context,
  mode: ts.OpenMode,
) -> ts.TensorStore:
  """Opens or makes the array at `directory`, which must agree with `metadata`.

  Missing chunks raise instead of reading as zeros, and chunks of zeros are
  stored, so that what was lost and what is zero stay different.

  Args:
    directory: the array's own folder.
    metadata: from `array_metadata`, or None to take what is there.
    context: bounds memory and concurrency.
    mode: whether to open, create or replace it.

  Raises:
    errors.InputError: if there is no such array.
  """
  spec = {
    'driver': 'zarr3',
    'kvstore': kvstore_spec(directory),
    'fill_missing_data_reads': False,
    'store_data_equal_to_fill_value': True,
  }
  if metadata is not None:
    spec['metadata'] = metadata
  try:
    return ts.open(spec, open_mode=mode, context=context).result()
  except ValueError as e:
    raise errors.InputError(
      f'array at {files.path(directory)} cannot be opened: {reason(e)}'
    ) from e


def open_arrays(
  directory: files.PathLike, spec: StoreSpec, rows: int, create: bool
) -> dict[str, ts.TensorStore]:
  """Opens all arrays of a store of `rows` rows, making them if `create`."""
  # A context of the store's own bounds what its reads and writes may hold.
  context = ts.Context(
    {
      'cache_pool': {'total_bytes_limit': 0},
      'file_io_concurrency': {'limit': 8},
      'data_copy_concurrency': {'limit': 8},
    }
  )
  return {
    name: open_array(
      files.path(directory) / name,
      array_metadata(
        (rows, *spec.item_shape(name)),
        spec.item_dtype(name),
        spec.rows_per_shard,
        spec.chunk_rows,
      ),
      context,
      ts.OpenMode(open=True, create=create),
    )
    for name in spec.arrays
  }


def kvstore_spec(directory: files.PathLike) -> Any:
  """Returns TensorStore's name for a local or `gs://` folder."""
  name = os.fspath(files.path(directory))
  if '://' in name:
    return name.rstrip('/') + '/'
  return {'driver': 'file', 'path': os.path.abspath(name) + '/'}


def reason(error: Exception) -> str:
  """Returns what TensorStore says went wrong, as one line, without its spec."""
  return str(error).splitlines()[0].split(' [tensorstore_spec=')[0]


def largest_divisor(number: int, limit: int) -> int:
  """Returns the largest divisor of `number` that is at most `limit`."""
  return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)


def _is_count(value: Any, least: int) -> bool:
  return type(value) is int and value >= least


def _are_names(values: Any) -> bool:
  return (
    isinstance(values, tuple)
    and all(
      isinstance(v, str)
      and re.fullmatch('[a-z][a-z0-9_]*', v)
      and v not in (*INDEX_DTYPES, 'shards')
      for v in values
    )
    and len(set(values)) == len(values)
  )
