# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Arrays in files, mapped into memory: only what is used of them is read.

A dictionary of 131,072 features of width 4096 is 2 GB in bfloat16 and a release
has dozens. Nothing here is unpickled.
"""

from collections.abc import Iterator, Sequence
import contextlib
import json
import math
import tempfile
import zipfile
import zlib

from etils import epath
import jax.numpy as jnp
import numpy as np
import safetensors

from selfexplain_jax import errors

# Types of dictionaries, as safetensors calls them.
_TYPES = {'F64': 'float64', 'F32': 'float32', 'F16': 'float16'}
_TYPES |= {'BF16': 'bfloat16'}

# Bytes before the name of a zip member, and where its lengths stand in them.
_ZIP_HEADER, _ZIP_LENGTHS = 30, slice(26, 30)


def safetensors_file(name: epath.Path) -> dict[str, np.ndarray]:
  """Opens a safetensors file.

  Args:
    name: the file.

  Returns:
    Its tensors by name, read-only, in their own types.

  Raises:
    errors.InputError: if there is none, it is cut short or no such file, or a
      tensor is of no type of floating point numbers.
  """
  with _local(name) as local:
    try:
      # This checks the header, and that the file is as long as it says.
      with safetensors.safe_open(local, framework='np') as opened:
        opened.keys()
    except safetensors.SafetensorError as e:
      raise errors.InputError(
        f'{name} is not a whole safetensors file: {e}'
      ) from e
    with open(local, 'rb') as file:
      length = int.from_bytes(file.read(8), 'little')
      header = json.loads(file.read(length))
    header.pop('__metadata__', None)
    found = {}
    for tensor, fields in header.items():
      if fields['dtype'] not in _TYPES:
        raise errors.InputError(
          f'{name}: {tensor} has type {fields["dtype"]}, expected one of '
          f'{", ".join(_TYPES)}'
        )
      kind = jnp.dtype(_TYPES[fields['dtype']])
      start = 8 + length + fields['data_offsets'][0]
      found[tensor] = _mapped(local, kind, start, fields['shape'])
    return found


def npz_file(name: epath.Path) -> dict[str, np.ndarray]:
  """Opens a file of `numpy.savez`; what is compressed in it is read whole.

  Args:
    name: the file.

  Returns:
    Its arrays by name, in their own types.

  Raises:
    errors.InputError: if there is none, it is cut short or no such file, or an
      array is pickled or of no type of floating point numbers.
  """
  with _local(name) as local:
    try:
      with zipfile.ZipFile(local) as archive:
        return {
          member.filename.removesuffix('.npy'): _member(
            name, local, archive, member
          )
          for member in archive.infolist()
        }
    except errors.InputError:
      raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as e:
      raise errors.InputError(f'{name} is not a whole npz file: {e}') from e


def check(
  name: epath.Path,
  found: dict[str, np.ndarray],
  expected: dict[str, tuple[int, ...]],
) -> None:
  """Checks which tensors a file has, and their shapes.

  Raises:
    errors.InputError: naming the first that is missing, of another shape, or
      not understood.
  """
  for tensor, shape in expected.items():
    if tensor not in found:
      raise errors.InputError(
        f'{name} has no tensor {tensor}: expected one of shape {shape}'
      )
    if found[tensor].shape != shape:
      raise errors.InputError(
        f'{name}: {tensor} has shape {found[tensor].shape}, expected {shape}'
      )
  for tensor in found:
    if tensor not in expected:
      raise errors.InputError(
        f'{name} has a tensor {tensor!r}: expected none but '
        f'{", ".join(expected)}'
      )


def _member(
  name: epath.Path,
  local: str,
  archive: zipfile.ZipFile,
  member: zipfile.ZipInfo,
) -> np.ndarray:
  """Opens one array of an npz file."""
  with archive.open(member) as file:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
      read = np.lib.format.read_array_header_2_0
    shape, column_major, kind = read(file)
    offset = file.tell()
  if kind.kind != 'f':
    raise errors.InputError(
      f'{name}: {member.filename} has type {kind}, expected one of floating '
      'point numbers'
    )
  if column_major or member.compress_type != zipfile.ZIP_STORED:
    with archive.open(member) as file:
      return np.lib.format.read_array(file, allow_pickle=False)
  if offset + kind.itemsize * math.prod(shape) != member.file_size:
    raise errors.InputError(
      f'{name}: {member.filename} has {member.file_size} bytes, expected '
      f'those of shape {shape}'
    )
  with open(local, 'rb') as whole:
    whole.seek(member.header_offset)
    lengths = whole.read(_ZIP_HEADER)[_ZIP_LENGTHS]
  before = sum(int.from_bytes(lengths[i : i + 2], 'little') for i in (0, 2))
  start = member.header_offset + _ZIP_HEADER + before + offset
  return _mapped(local, kind, start, shape)


def _mapped(
  local: str, kind: np.dtype, start: int, shape: Sequence[int]
) -> np.ndarray:
  if 0 in shape:
    return np.zeros(shape, kind)
  return np.memmap(local, kind, 'r', start, tuple(shape))


@contextlib.contextmanager
def _local(name: epath.Path) -> Iterator[str]:
  """Yields the file's local name, or that of a copy, since only those map.

  A copy lives as long as what is mapped of it.
  """
  if not name.exists():
    raise errors.InputError(f'no dictionary: expected a file at {name}')
  if '://' not in str(name):
    yield str(name)
    return
  with tempfile.TemporaryDirectory() as folder:
    name.copy(f'{folder}/copy')
    yield f'{folder}/copy'
