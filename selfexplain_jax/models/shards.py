# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes safetensors files one tensor at a time, in shards where they are big.

The library's own writer wants all tensors in memory at once, twice. Equal
tensors give equal bytes, and those of a single file are that writer's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import json
import math

import jax.numpy as jnp
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.models import stored

SHARD_BYTES = 5 * 10**9

_CODES = {'float32': 'F32', 'bfloat16': 'BF16', 'float16': 'F16'}

# Shape and dtype of a tensor.
Spec = tuple[tuple[int, ...], str]
Read = Callable[[str], np.ndarray]


def write(
  directory: files.PathLike,
  specs: Mapping[str, Spec],
  read: Read,
  shard_bytes: int = SHARD_BYTES,
) -> None:
  """Writes tensors as the weights of a model.

  What lies there of another layout and would be read in their place is removed.

  Args:
    directory: where to.
    specs: what to write.
    read: gives a tensor; it is called once for each, in the order of names.
    shard_bytes: of the largest shard; what is not larger is a single file.
  """
  folder, groups = files.path(directory), _groups(specs, shard_bytes)
  if len(groups) == 1:
    write_file(folder / stored.WEIGHTS, specs, read)
    files.remove(folder / stored.INDEX)
    return
  table = {}
  for i, group in enumerate(groups, 1):
    name = f'model-{i:05}-of-{len(groups):05}.safetensors'
    write_file(folder / name, {t: specs[t] for t in group}, read)
    table.update(dict.fromkeys(group, name))
  total = sum(map(_size, specs.values()))
  index = {'metadata': {'total_size': total}, 'weight_map': table}
  files.write_json(folder / stored.INDEX, index)
  files.remove(folder / stored.WEIGHTS)


def write_file(
  name: files.PathLike, specs: Mapping[str, Spec], read: Read
) -> None:
  """Writes one safetensors file atomically, in the order of tensors' names.

  Args:
    name: of the file.
    specs: what to write.
    read: gives a tensor; it is called once for each.
  """
  with files.writing(name) as out:
    for chunk in _chunks(specs, read):
      out.write(chunk)


def _size(spec: Spec) -> int:
  """Bytes of a tensor."""
  shape, dtype = spec
  return math.prod(shape) * jnp.dtype(dtype).itemsize


def _groups(
  specs: Mapping[str, Spec], shard_bytes: int
) -> Sequence[Sequence[str]]:
  """Names of tensors by shard, filled one after the other."""
  groups: list[list[str]] = [[]]
  room = shard_bytes
  for name in sorted(specs):
    size = _size(specs[name])
    if size > room and groups[-1]:
      groups.append([])
      room = shard_bytes
    groups[-1].append(name)
    room -= size
  return groups


def _chunks(specs: Mapping[str, Spec], read: Read) -> Iterator[bytes]:
  """The bytes of a file: length of the header, header, tensors."""
  # transformers refuses a file that does not say which framework it is for.
  header: dict[str, object] = {'__metadata__': {'format': 'pt'}}
  end = 0
  for name in sorted(specs):
    shape, dtype = specs[name]
    start, end = end, end + _size(specs[name])
    header[name] = {
      'dtype': _CODES[dtype],
      'shape': list(shape),
      'data_offsets': [start, end],
    }
  text = json.dumps(header, separators=(',', ':')).encode('utf-8')
  text += b' ' * (-len(text) % 8)
  yield len(text).to_bytes(8, 'little') + text
  for name in sorted(specs):
    tensor = read(name)
    assert (tensor.shape, tensor.dtype.name) == specs[name], name
    yield tensor.tobytes()
