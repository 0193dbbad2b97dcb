# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The `vectors/` of an explanation set: one checked zarr3 array.

The checksum of all rows is part of the array's own metadata, so that a changed
shape is found as well as a changed value, and equal vectors give equal bytes.
Sets may have more vectors than memory holds: they are copied to a scratch file
as they are checked, and are mapped from there.
"""

import shutil
import tempfile

import google_crc32c
import numpy as np
import tensorstore as ts

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import layout
from selfexplain_jax.distributed import hosts

_CHUNK_ROWS = 256
_SHARD_ROWS = 1 << 16
# Of vectors, held at a time.
_PART_BYTES = 1 << 24


def write_vectors(directory: files.PathLike, vectors_RxD: np.ndarray) -> None:
  """Writes `vectors_RxD` as the array at `directory`, replacing one there.

  Of several processes, process 0 does.

  Args:
    directory: the array's own folder, `DIR/vectors` of an explanation set.
    vectors_RxD: `[R, D]` float32, R of at least 0 and D of at least 1.

  Raises:
    errors.InputError: if the shape or the type is another, or if the folder
      holds anything else, which replacing would delete.
  """
  if (
    vectors_RxD.ndim != 2
    or vectors_RxD.dtype != np.float32
    or (not vectors_RxD.shape[1])
  ):
    raise errors.InputError(
      f'vectors for {files.path(directory)} are {vectors_RxD.dtype.name}'
      f'{list(vectors_RxD.shape)}, expected float32 [R, D]'
    )
  if not hosts.is_lead():
    return
  rows = vectors_RxD.shape[0]
  # A small array is one chunk rounded up, so that its shard stays small.
  shard_rows = min(_SHARD_ROWS, max(1, -(-rows // _CHUNK_ROWS)) * _CHUNK_ROWS)
  metadata = layout.array_metadata(
    vectors_RxD.shape, vectors_RxD.dtype, shard_rows, _CHUNK_ROWS
  )
  metadata['attributes'] = {'crc32c': _crc32c(vectors_RxD)}
  _check_replaceable(directory)
  array = layout.open_array(
    directory,
    metadata,
    ts.Context(),
    ts.OpenMode(create=True, delete_existing=True),
  )
  for start in range(0, rows, shard_rows):  # One shard is held at a time.
    shard = slice(start, min(start + shard_rows, rows))
    array[shard].write(vectors_RxD[shard]).result()


def read_vectors(directory: files.PathLike) -> np.ndarray:
  """Reads what `write_vectors` wrote, `[R, D]` float32, read-only.

  What is returned is mapped from a file in the folder for temporary files,
  which goes with it: the system keeps in memory what is in use, as far as there
  is room, and rows in any order need no more than a disk.

  Raises:
    errors.InputError: if there is none, if any of it is missing or damaged, or
      if there is no room for it.
  """
  array = layout.open_array(
    directory, None, ts.Context(), ts.OpenMode(open=True)
  )
  where = f'vectors at {files.path(directory)}'
  if array.rank != 2 or array.dtype != ts.float32:
    raise errors.InputError(
      f'{where} are {array.dtype.name}{list(array.shape)}, expected float32 '
      '[R, D]'
    )
  vectors_RxD, crc = _copy(array, where)
  attributes = array.spec().to_json()['metadata'].get('attributes', {})
  expected = attributes.get('crc32c')
  if crc != expected:
    raise errors.InputError(
      f'{where} fail their checksum: crc32c is {crc}, expected {expected}'
    )
  return vectors_RxD


def _copy(array: ts.TensorStore, where: str) -> tuple[np.ndarray, int]:
  """Copies an array to a scratch file: maps it, and returns its CRC-32C."""
  rows, width = array.shape
  if not rows:
    return np.zeros((0, width), np.float32), 0
  folder, size = tempfile.gettempdir(), 4 * rows * width
  room = shutil.disk_usage(folder).free
  if size > room:
    raise errors.InputError(
      f'{where} take {size / 1e9:.3g} GB, and {folder} has {room / 1e9:.3g} GB '
      'left: expected room for a copy, TMPDIR names another folder'
    )
  crc = 0
  with tempfile.TemporaryFile() as scratch:
    for part in _parts(rows, width):
      try:
        read = array[part].read().result()
      except ValueError as e:
        raise errors.InputError(
          f'{where} cannot be read: {layout.reason(e)}'
        ) from e
      content = read.astype('<f4').tobytes()
      crc = google_crc32c.extend(crc, content)
      scratch.write(content)
    scratch.flush()
    mapped = np.memmap(scratch, '<f4', 'r', shape=(rows, width))
  return np.asarray(mapped), crc


def _parts(rows: int, width: int) -> list[slice]:
  """Cuts rows into parts of whole chunks that are held at a time."""
  size = max(1, _PART_BYTES // (4 * width * _CHUNK_ROWS)) * _CHUNK_ROWS
  return [slice(a, min(a + size, rows)) for a in range(0, rows, size)]


def _check_replaceable(directory: files.PathLike) -> None:
  folder = files.path(directory)
  found = [entry.name for entry in folder.iterdir()] if folder.exists() else []
  others = sorted(n for n in found if n.split('.')[0] not in ('zarr', 'c'))
  if others:
    raise errors.InputError(
      f'vectors at {folder}: the folder holds {others[0]}, expected a folder '
      'for vectors alone'
    )


def _crc32c(vectors_RxD: np.ndarray) -> int:
  """CRC-32C of the values, row after row, each a little-endian float32."""
  crc = 0
  for part in _parts(*vectors_RxD.shape):
    crc = google_crc32c.extend(crc, vectors_RxD[part].astype('<f4').tobytes())
  return crc
