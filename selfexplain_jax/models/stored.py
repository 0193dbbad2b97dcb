# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The tensors of a directory by name, whichever safetensors files they lie in.

Nothing is read but what is asked for, and that in pieces: files are mapped, so
of what a tensor holds only one piece at a time is in the process's own memory.
"""

from collections.abc import Iterable, Iterator
import os
import tempfile
from typing import Any

import numpy as np
import safetensors

from selfexplain_jax import errors
from selfexplain_jax import files

WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'

_DTYPES = ('F32', 'BF16', 'F16')
_PIECE_BYTES = 2**20  # Read at a time: what a processor has in its cache.


class Stored:
  """Tensors by name, read from where they lie."""

  def __init__(self, directory: files.PathLike, names: Iterable[str]):
    """Opens files.

    Args:
      directory: where they lie, local or remote.
      names: of the files.

    Raises:
      errors.InputError: if one is missing or damaged, or a tensor is stored
        twice or in a dtype that models do not have.
    """
    self._directory = files.path(directory)
    self._files: dict[str, Any] = {}  # Tensor name to its open file.
    for name in names:
      opened = self._open(name)
      for tensor in opened.keys():  # noqa: SIM118, not a mapping.
        if tensor in self._files:
          raise errors.InputError(
            f'{self._directory}: tensor {tensor} is stored twice: expected it '
            'in one file'
          )
        self._files[tensor] = opened
        dtype = opened.get_slice(tensor).get_dtype()
        if dtype not in _DTYPES:
          raise errors.InputError(
            f'{self._directory}: tensor {tensor} has dtype {dtype}: expected '
            f'one of {", ".join(_DTYPES)}'
          )

  def __contains__(self, name: str) -> bool:
    return name in self._files

  def names(self) -> list[str]:
    """Returns the names of all tensors."""
    return sorted(self._files)

  def shape(self, name: str) -> tuple[int, ...]:
    """Returns the shape of a tensor."""
    return tuple(self._slice(name).get_shape())

  def dtype(self, name: str) -> str:
    """Returns the dtype of a tensor, as numpy names it."""
    kind = self._slice(name).get_dtype()
    return {'F32': 'float32', 'BF16': 'bfloat16', 'F16': 'float16'}[kind]

  def tensor(self, name: str) -> np.ndarray:
    """Reads a whole tensor, in the stored dtype."""
    return self._files[name].get_tensor(name)

  def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and contents of one tensor after the other."""
    for name in self.names():
      yield name, self.tensor(name)

  def read(self, name: str, index: tuple[slice, ...], out: np.ndarray) -> None:
    """Reads a part of a tensor into an array, in the array's dtype.

    Args:
      name: of the tensor.
      index: the part: a slice of step 1 for each axis.
      out: of the part's shape, or a view of that shape.
    """
    source = self._slice(name)
    rows, *rest = (
      range(*one.indices(size)) for one, size in zip(index, self.shape(name))
    )
    width = out[:1].nbytes
    step = max(1, _PIECE_BYTES // max(1, width))
    for first in range(0, len(rows), step):
      some = rows[first : first + step]
      piece = source[
        tuple(slice(axis.start, axis.stop) for axis in (some, *rest))
      ]
      out[first : first + step] = piece

  def expect(self, name: str, shape: tuple[int, ...], why: str) -> None:
    """Raises InputError unless there is a tensor of this name and shape.

    Args:
      name: of the tensor.
      shape: that it must have.
      why: what demands that, for the message.
    """
    if name not in self._files:
      raise errors.InputError(
        f'{self._directory}: tensor {name} is missing: expected shape {shape}'
      )
    if self.shape(name) != shape:
      raise errors.InputError(
        f'{self._directory}: tensor {name} has shape {self.shape(name)}: '
        f'{why} makes it {shape}'
      )

  def expect_no_others(self, known: Iterable[str], why: str) -> None:
    """Raises InputError if there is a tensor beside the known ones."""
    for name in sorted({*self._files} - {*known}):
      raise errors.InputError(
        f'{self._directory}: unexpected tensor {name} of shape '
        f'{self.shape(name)}: {why} describes a model without it'
      )

  def _slice(self, name: str) -> Any:
    return self._files[name].get_slice(name)

  def _open(self, name: str) -> Any:
    """Opens one file; its tensors are read when they are asked for."""
    source = self._directory / name
    if not source.exists():
      raise errors.InputError(f'no weights at {source}: expected a file there')
    try:
      if '://' not in os.fspath(source):
        return safetensors.safe_open(os.fspath(source), framework='np')
      # Only local files can be mapped. The copy lives as long as the mapping.
      with tempfile.TemporaryDirectory() as folder:
        local = files.path(folder) / 'copy.safetensors'
        source.copy(local)
        return safetensors.safe_open(os.fspath(local), framework='np')
    except safetensors.SafetensorError as e:
      raise errors.InputError(
        f'{source} is not a whole safetensors file: {e}'
      ) from e


def model(directory: files.PathLike) -> Stored:
  """Opens the weights of a model: one file, or shards with an index.

  Raises:
    errors.InputError: if there are none, or they are damaged.
  """
  folder = files.path(directory)
  if (folder / WEIGHTS).exists():
    return Stored(folder, [WEIGHTS])
  if not (folder / INDEX).exists():
    raise errors.InputError(
      f'no weights in {folder}: expected {WEIGHTS} or {INDEX}'
    )
  index = files.read_json(folder / INDEX, 'index of the weights')
  table = index.get('weight_map') if isinstance(index, dict) else None
  if not isinstance(table, dict) or not all(
    isinstance(name, str) for name in table.values()
  ):
    raise errors.InputError(
      f'{folder / INDEX}: expected a table "weight_map" of tensor names to '
      'file names'
    )
  return Stored(folder, sorted(set(table.values())))
