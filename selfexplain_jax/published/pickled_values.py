# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What pickles may be of: the values of arrays, tensors and plain containers.

`pickles` interprets a file; whatever it names is a key of `TABLE`, and what is
then called is a function of this module. Arrays are views of the file's bytes,
and a tensor that repeats its storage is refused.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

EXPECTED = 'expected nothing but tensors, arrays and plain containers'

STORAGES: dict[str, Any] = {
  'torch.DoubleStorage': np.float64,
  'torch.FloatStorage': np.float32,
  'torch.HalfStorage': np.float16,
  'torch.BFloat16Storage': ml_dtypes.bfloat16,
  'torch.LongStorage': np.int64,
  'torch.IntStorage': np.int32,
  'torch.ShortStorage': np.int16,
  'torch.CharStorage': np.int8,
  'torch.ByteStorage': np.uint8,
  'torch.BoolStorage': np.bool_,
}
_DTYPES = frozenset(
  ('f8', 'f4', 'f2', 'i8', 'i4', 'i2', 'i1', 'u8', 'u4', 'u2', 'u1', 'b1')
)


class Refused(ValueError):
  """What is wrong with a file, without its name."""


@dataclasses.dataclass(frozen=True)
class Name:
  """A name of the table that a file mentions."""

  text: str


@dataclasses.dataclass(frozen=True)
class Storage:
  """The numbers of a tensor, [N]; None while a first pass only looks."""

  values: np.ndarray | None


@dataclasses.dataclass
class Unfilled:
  """A numpy array whose content comes with the next BUILD."""

  value: np.ndarray | None = None


@dataclasses.dataclass
class DType:
  """A numpy dtype whose byte order may come with the next BUILD."""

  code: str
  order: str = '<'

  @property
  def numpy(self) -> np.dtype:
    if self.order not in ('<', '|', '='):
      raise Refused('holds numbers of another byte order: expected little')
    return np.dtype(self.code)


def storage(content: bytes, dtype: Any, count: int, key: str) -> Storage:
  """Returns a storage, if its content is as long as it is said to be.

  Raises:
    Refused: if it is not.
  """
  expected = count * np.dtype(dtype).itemsize
  if len(content) != expected:
    raise Refused(
      f'is cut short: storage {key} has {len(content)} bytes: expected '
      f'{expected}'
    )
  return Storage(np.frombuffer(content, dtype))


def _tensor(arguments: Sequence[Any]) -> np.ndarray | None:
  """What `torch._utils._rebuild_tensor_v2` makes: a view of a storage."""
  storage, offset, size, stride = arguments[:4]
  if not isinstance(storage, Storage):
    raise Refused(f'has a tensor without a storage: {EXPECTED}')
  if storage.values is None:
    return None
  values, size, stride = storage.values, tuple(size), tuple(stride)
  if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
    raise Refused(f'has a tensor of size {size} and stride {stride}')
  count = math.prod(size)
  last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
  if count > values.size or (count and last >= values.size):
    raise Refused(
      f'has a tensor of size {size}, stride {stride} and offset {offset} in '
      f'a storage of {values.size} numbers: expected one that fits'
    )
  if not count:
    return np.zeros(size, values.dtype)
  strides = [s * values.itemsize for s in stride]
  return np.lib.stride_tricks.as_strided(
    values[offset:], size, strides, writeable=False
  )


def _dtype(arguments: Sequence[Any]) -> DType:
  code = arguments[0]
  if not isinstance(code, str) or code not in _DTYPES:
    raise Refused('has an array whose dtype is no number: expected numbers')
  return DType(code)


def _array(shape: Any, dtype: Any, fortran: Any, content: Any) -> np.ndarray:
  if not isinstance(dtype, DType) or not isinstance(
    content, (bytes, bytearray)
  ):
    raise Refused(f'has an array of something else than numbers: {EXPECTED}')
  flat = np.frombuffer(content, dtype.numpy)
  if fortran in (True, 'F'):
    values = flat.reshape(tuple(shape)[::-1]).T
  else:
    values = flat.reshape(shape)
  values.flags.writeable = False
  return values


def _encode(arguments: Sequence[Any]) -> bytes:
  text, encoding = arguments
  if encoding != 'latin1':
    raise Refused('encodes text in another way than latin1: expected that')
  return text.encode('latin1')


def hashable(keys: Sequence[Any] = ()) -> Sequence[Any]:
  """Returns keys that are hashed at once, which deep ones may never be."""
  for key in keys:
    for part in key if isinstance(key, tuple) else (key,):
      if not isinstance(part, (str, bytes, int, float, type(None))):
        raise Refused(f'has a key of a {type(part).__name__}: {EXPECTED}')
  return keys


def _dict(arguments: Sequence[Any]) -> dict[Any, Any]:
  pairs = [(key, value) for key, value in (arguments[0] if arguments else ())]
  hashable([key for key, _ in pairs])
  return dict(pairs)


def _scalar(arguments: Sequence[Any]) -> Any:
  dtype, content = arguments
  return _array((1,), dtype, False, content)[0]


def _table() -> dict[str, Callable[[Sequence[Any]], Any] | None]:
  """What a file may name, and what a call of it amounts to; None for no call.

  `torch.storage._load_from_bytes` is missing: it needs the machine.
  """
  both: Mapping[str, Callable[[Sequence[Any]], Any] | None] = {
    'multiarray._reconstruct': lambda a: Unfilled(),
    'multiarray.scalar': _scalar,
    'numeric._frombuffer': lambda a: _array(a[2], a[1], a[3], a[0]),
  }
  return {
    **dict.fromkeys(STORAGES),
    **{
      f'numpy.{core}.{n}': f
      for core in ('core', '_core')
      for n, f in both.items()
    },
    'numpy.ndarray': None,
    'numpy.dtype': _dtype,
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch.Size': lambda a: tuple(a[0]),
    'collections.OrderedDict': _dict,
    'builtins.set': lambda a: set(hashable(*a)),
    'builtins.frozenset': lambda a: frozenset(hashable(*a)),
    '__builtin__.set': lambda a: set(hashable(*a)),
    '__builtin__.frozenset': lambda a: frozenset(hashable(*a)),
    # Of no arguments: how early protocols write no bytes.
    '__builtin__.bytes': lambda a: bytes(*a[:0]),
    '_codecs.encode': _encode,
  }


TABLE = _table()


def build(made: Any, state: Any) -> Any:
  """Gives what was just made its state."""
  if isinstance(made, Unfilled):
    _, shape, dtype, fortran, content = state
    made.value = _array(shape, dtype, fortran, content)
    return made.value
  if isinstance(made, DType):
    made.order = state[1]
    return made
  # What torch notes beside the parameters of a module.
  if isinstance(made, dict) and set(state) <= {'_metadata'}:
    return made
  raise Refused(f'gives a state to something that has none: {EXPECTED}')
