# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a model directory says that it holds: the headers of its files alone."""

import json
import struct
from typing import Any, NamedTuple

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.validation import check as check_lib

# Of a tensor's dtype in a header: how `config.json` calls it, and its bytes.
_DTYPES = {
  'F32': ('float32', 4),
  'BF16': ('bfloat16', 2),
  'F16': ('float16', 2),
}


class Summary(NamedTuple):
  """A model directory in figures.

  Attributes:
    family: `model_type` of `config.json`.
    dtypes: how often each dtype occurs, by the name in `config.json`.
    parameters: numbers in all tensors.
    bytes: that they take.
    odd: a line on the first tensor that is not of the dtype in `config.json`;
      empty if all are.
  """

  family: str
  dtypes: dict[str, int]
  parameters: int
  bytes: int
  odd: str

  def check(self) -> check_lib.Check:
    """The check of the tensors, once the loader took their names and shapes."""
    held = ', '.join(f'{count} {name}' for name, count in self.dtypes.items())
    detail = f'names and shapes are those of {huggingface_config.FILE}; {held}'
    return check_lib.Check('tensors', not self.odd, self.odd or detail)


def summarize(directory: files.PathLike) -> Summary:
  """Reads the headers of all safetensors files and compares their dtypes.

  Names and shapes are the loader's to check: it refuses what differs.

  Raises:
    errors.InputError: for a file that is not a safetensors file.
  """
  folder = files.path(directory)
  config = files.read_json(
    folder / huggingface_config.FILE, 'model configuration'
  )
  said = config.get('dtype') or config.get('torch_dtype') or 'float32'
  dtypes: dict[str, int] = {}
  parameters = size = 0
  odd = ''
  for name, tensor in _tensors(folder):
    dtype, width = _DTYPES.get(tensor['dtype'], (tensor['dtype'], 0))
    count = 1
    for length in tensor['shape']:
      count *= length
    dtypes[dtype] = dtypes.get(dtype, 0) + 1
    parameters, size = parameters + count, size + count * width
    if dtype != said and not odd:
      odd = f'{name} is {dtype}: {huggingface_config.FILE} says {said}'
  return Summary(config['model_type'], dtypes, parameters, size, odd)


def _tensors(folder: Any) -> list[tuple[str, dict[str, Any]]]:
  """Name and header of every tensor, in the order of names."""
  found: dict[str, Any] = {}
  names = [huggingface.WEIGHTS]
  if not (folder / huggingface.WEIGHTS).exists():
    index = files.read_json(folder / huggingface.INDEX, 'index of the weights')
    names = sorted(set(index['weight_map'].values()))
  for source in (folder / name for name in names):
    with source.open('rb') as opened:
      try:
        (length,) = struct.unpack('<Q', opened.read(8))
        header = json.loads(opened.read(length))
      except (struct.error, ValueError, MemoryError, OverflowError) as e:
        raise errors.InputError(
          f'{source} is not a whole safetensors file: {e}'
        ) from e
    found |= {n: t for n, t in header.items() if n != '__metadata__'}
  return sorted(found.items())
