# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads pickles and `.pt` files of arrays and plain containers, and no others.

The one place that reads pickle, and `launch.convert_published` the one binary.
A pickle is a program: it names functions, and a reader calls them. Here nothing
that a file names is ever looked up or called. Opcodes are interpreted over
plain values, names are keys of a table of our own functions, and a name that is
not in it ends the reading. So a file that names `os.system` does nothing but be
refused.

Nothing is larger than what the file holds: reads stop at its end, arrays are
views of its bytes, and a tensor that repeats its storage is refused.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import io
import math
import pickletools
from typing import Any, BinaryIO, cast
import zipfile

import ml_dtypes
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files

_EXPECTED = 'expected nothing but tensors, arrays and plain containers'
# What a file of torch.save from before it wrote zip files begins with.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_STORAGES: dict[str, Any] = {
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


class _Refused(ValueError):
  """What is wrong with a file, without its name."""


@dataclasses.dataclass(frozen=True)
class _Name:
  """A name of the table that a file mentions."""

  text: str


@dataclasses.dataclass(frozen=True)
class _Storage:
  """The numbers of a tensor, [N]; None while a first pass only looks."""

  values: np.ndarray | None


@dataclasses.dataclass
class _Unfilled:
  """A numpy array whose content comes with the next BUILD."""

  value: np.ndarray | None = None


@dataclasses.dataclass
class _DType:
  """A numpy dtype whose byte order may come with the next BUILD."""

  code: str
  order: str = '<'

  @property
  def numpy(self) -> np.dtype:
    if self.order not in ('<', '|', '='):
      raise _Refused('holds numbers of another byte order: expected little')
    return np.dtype(self.code)


class _Bounded:
  """A file that does not make room for more than is left of it."""

  def __init__(self, source: BinaryIO):
    self._source = source
    start = source.tell()
    self.size = source.seek(0, io.SEEK_END)
    source.seek(start)
    self.tell, self.readline = source.tell, source.readline
    self.seek = source.seek

  def read(self, count: int) -> bytes:
    """Reads exactly so many bytes, or less at the end of the file."""
    return self._source.read(min(count, self.size - self.tell()))


Persistent = Callable[[Any], _Storage]


def read(name: files.PathLike) -> Any:
  """Reads a pickle, or what `torch.save` wrote.

  Args:
    name: the file.

  Returns:
    Plain values, tuples, lists, sets and dictionaries of them, and read-only
    arrays in place of tensors. Dictionaries that keep their order are plain.

  Raises:
    errors.InputError: if the file is not there, is damaged, or names anything
      but tensors, arrays and plain containers; nothing has then been called.
  """
  path = files.path(name)
  if not path.is_file():
    raise errors.InputError(f'no file at {path}: expected a pickle or .pt file')
  try:
    with path.open('rb') as source:
      if zipfile.is_zipfile(source):
        return _read_zip(source)
      source.seek(0)
      return _read_bytes(source, depth=0)
  except _Refused as e:
    raise errors.InputError(f'{path} {e}') from e
  except Exception as e:  # A damaged or hostile file may lead to any.
    what = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
    raise errors.InputError(
      f'{path} is damaged, or neither a pickle nor a .pt file: {what}: '
      f'{_EXPECTED}'
    ) from e


def _read_zip(source: BinaryIO) -> Any:
  """Reads a zip file of `torch.save`."""
  with zipfile.ZipFile(source) as archive:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
      raise _Refused('is a compressed zip file: expected one of torch.save')
    programs = [n for n in entries if n.count('/') == 1 and _is_program(n)]
    if len(programs) != 1:
      raise _Refused(
        f'is a zip file with {len(programs)} files data.pkl: expected one of '
        'torch.save'
      )
    root = programs[0].removesuffix('data.pkl')
    order = f'{root}byteorder'
    if order in entries and archive.read(order) != b'little':
      raise _Refused('holds numbers of another byte order: expected little')
    found: dict[str, _Storage] = {}

    def persistent(mark: Any) -> _Storage:
      dtype, key, count = _storage_mark(mark)
      if key not in found:
        content = archive.read(f'{root}data/{key}')
        found[key] = _storage(content, dtype, count, key)
      return found[key]

    program = _Bounded(io.BytesIO(archive.read(programs[0])))
    return _Machine(program, persistent, depth=0).run()


def _is_program(name: str) -> bool:
  return name.rpartition('/')[2] == 'data.pkl'


def _read_bytes(source: BinaryIO, depth: int) -> Any:
  """Reads a pickle, or an older file of `torch.save`, from where it stands."""
  bounded = _Bounded(source)
  first = _Machine(bounded, _no_storage, depth).run()
  if not isinstance(first, int) or first != _LEGACY_MAGIC:
    return first
  if _Machine(bounded, _no_storage, depth).run() != _LEGACY_PROTOCOL:
    raise _Refused('is of an unknown version of torch.save')
  system = _Machine(bounded, _no_storage, depth).run()
  if not isinstance(system, dict) or not system.get('little_endian'):
    raise _Refused('holds numbers of another byte order: expected little')

  # The numbers follow the program that needs them: it is read twice.
  start = bounded.tell()
  marks: dict[str, tuple[Any, int]] = {}

  def look(mark: Any) -> _Storage:
    dtype, key, count = _storage_mark(mark)
    marks[key] = dtype, count
    return _Storage(None)

  _Machine(bounded, look, depth).run()
  found: dict[str, _Storage] = {}
  for key in _Machine(bounded, _no_storage, depth).run():
    dtype, count = marks[key]
    bounded.read(8)  # The count again.
    content = bounded.read(count * np.dtype(dtype).itemsize)
    found[key] = _storage(content, dtype, count, key)
  bounded.seek(start)
  return _Machine(
    bounded, lambda mark: found[_storage_mark(mark)[1]], depth
  ).run()


def _no_storage(mark: Any) -> _Storage:
  raise _Refused(f'refers to something outside of it: {_EXPECTED}')


def _storage_mark(mark: Any) -> tuple[Any, str, int]:
  """The dtype, key and count of numbers that a file refers to."""
  if (
    not isinstance(mark, tuple)
    or len(mark) not in (5, 6)
    or mark[0] != 'storage'
    or not isinstance(mark[1], _Name)
    or mark[1].text not in _STORAGES
    or not isinstance(mark[2], str)
    or not isinstance(mark[4], int)
    or mark[4] < 0
    or mark[5:] not in ((), (None,))
  ):
    raise _Refused(f'refers to something that is no storage: {_EXPECTED}')
  return _STORAGES[mark[1].text], mark[2], mark[4]


def _storage(content: bytes, dtype: Any, count: int, key: str) -> _Storage:
  expected = count * np.dtype(dtype).itemsize
  if len(content) != expected:
    raise _Refused(
      f'is cut short: storage {key} has {len(content)} bytes: expected '
      f'{expected}'
    )
  return _Storage(np.frombuffer(content, dtype))


def _tensor(arguments: Sequence[Any]) -> np.ndarray | None:
  """What `torch._utils._rebuild_tensor_v2` makes: a view of a storage."""
  storage, offset, size, stride = arguments[:4]
  if not isinstance(storage, _Storage):
    raise _Refused(f'has a tensor without a storage: {_EXPECTED}')
  if storage.values is None:
    return None
  values, size, stride = storage.values, tuple(size), tuple(stride)
  if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
    raise _Refused(f'has a tensor of size {size} and stride {stride}')
  count = math.prod(size)
  last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
  if count > values.size or (count and last >= values.size):
    raise _Refused(
      f'has a tensor of size {size}, stride {stride} and offset {offset} in '
      f'a storage of {values.size} numbers: expected one that fits'
    )
  if not count:
    return np.zeros(size, values.dtype)
  strides = [s * values.itemsize for s in stride]
  return np.lib.stride_tricks.as_strided(
    values[offset:], size, strides, writeable=False
  )


def _dtype(arguments: Sequence[Any]) -> _DType:
  code = arguments[0]
  if not isinstance(code, str) or code not in _DTYPES:
    raise _Refused('has an array whose dtype is no number: expected numbers')
  return _DType(code)


def _array(shape: Any, dtype: Any, fortran: Any, content: Any) -> np.ndarray:
  if not isinstance(dtype, _DType) or not isinstance(
    content, (bytes, bytearray)
  ):
    raise _Refused(f'has an array of something else than numbers: {_EXPECTED}')
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
    raise _Refused('encodes text in another way than latin1: expected that')
  return text.encode('latin1')


def _hashable(keys: Sequence[Any] = ()) -> Sequence[Any]:
  """Returns keys that are hashed at once, which deep ones may never be."""
  for key in keys:
    for part in key if isinstance(key, tuple) else (key,):
      if not isinstance(part, (str, bytes, int, float, type(None))):
        raise _Refused(f'has a key of a {type(part).__name__}: {_EXPECTED}')
  return keys


def _dict(arguments: Sequence[Any]) -> dict[Any, Any]:
  pairs = [(key, value) for key, value in (arguments[0] if arguments else ())]
  _hashable([key for key, _ in pairs])
  return dict(pairs)


def _scalar(arguments: Sequence[Any]) -> Any:
  dtype, content = arguments
  return _array((1,), dtype, False, content)[0]


def _table() -> dict[str, Callable[[Sequence[Any]], Any] | None]:
  """What a file may name, and what a call of it amounts to; None for no call.

  `torch.storage._load_from_bytes` is missing: it needs the machine.
  """
  both: Mapping[str, Callable[[Sequence[Any]], Any] | None] = {
    'multiarray._reconstruct': lambda a: _Unfilled(),
    'multiarray.scalar': _scalar,
    'numeric._frombuffer': lambda a: _array(a[2], a[1], a[3], a[0]),
  }
  return {
    **dict.fromkeys(_STORAGES),
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
    'builtins.set': lambda a: set(_hashable(*a)),
    'builtins.frozenset': lambda a: frozenset(_hashable(*a)),
    '__builtin__.set': lambda a: set(_hashable(*a)),
    '__builtin__.frozenset': lambda a: frozenset(_hashable(*a)),
    # Of no arguments: how early protocols write no bytes.
    '__builtin__.bytes': lambda a: bytes(*a[:0]),
    '_codecs.encode': _encode,
  }


_TABLE = _table()
_NESTED = 'torch.storage._load_from_bytes'


class _Machine:
  """Interprets one pickle."""

  def __init__(self, source: _Bounded, persistent: Persistent, depth: int):
    """Reads `source` from where it stands; `depth` counts nested files."""
    self._source = source
    self._persistent = persistent
    self._depth = depth
    self._stack: list[Any] = []
    self._marked: list[list[Any]] = []  # Stacks below the marks.
    self._memo: dict[int, Any] = {}

  def run(self) -> Any:
    """Returns what the pickle is of."""
    for opcode, argument, _ in pickletools.genops(cast(BinaryIO, self._source)):
      if opcode.name == 'STOP':
        return self._stack.pop()
      self._step(opcode.name, argument)
    raise _Refused('is cut short: expected a whole pickle')

  def _step(self, name: str, argument: Any) -> None:
    stack = self._stack
    match name:
      case 'PROTO' | 'FRAME':
        pass
      case 'NONE':
        stack.append(None)
      case 'NEWTRUE' | 'NEWFALSE':
        stack.append(name == 'NEWTRUE')
      case (
        'INT' | 'BININT' | 'BININT1' | 'BININT2' | 'LONG' | 'LONG1' | 'LONG4'
        | 'FLOAT' | 'BINFLOAT' | 'UNICODE' | 'SHORT_BINUNICODE' | 'BINUNICODE'
        | 'BINUNICODE8' | 'SHORT_BINBYTES' | 'BINBYTES' | 'BINBYTES8'
        | 'BYTEARRAY8' | 'STRING' | 'BINSTRING' | 'SHORT_BINSTRING'
      ):  # fmt: skip
        stack.append(argument)
      case 'EMPTY_LIST' | 'EMPTY_DICT' | 'EMPTY_TUPLE' | 'EMPTY_SET':
        stack.append({'L': [], 'D': {}, 'T': (), 'S': set()}[name[6]])
      case 'MARK':
        self._marked.append(stack)
        self._stack = []
      case 'POP':
        stack.pop()
      case 'POP_MARK':
        self._above()
      case 'DUP':
        stack.append(stack[-1])
      case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
        count = int(name[-1])
        made = tuple(stack[-count:])
        if len(made) < count:
          raise IndexError('a tuple of more than there is')
        stack[-count:] = [made]
      case 'TUPLE':
        made = tuple(self._above())
        self._stack.append(made)
      case 'LIST':
        made_list = self._above()
        self._stack.append(made_list)
      case 'DICT':
        pairs = self._above()
        keys = _hashable(pairs[::2])
        self._stack.append(dict(zip(keys, pairs[1::2], strict=True)))
      case 'FROZENSET':
        members = self._above()
        self._stack.append(frozenset(_hashable(members)))
      case 'APPEND':
        item = stack.pop()
        self._top(list).append(item)
      case 'APPENDS':
        items = self._above()
        self._top(list).extend(items)
      case 'SETITEM':
        value, key = stack.pop(), stack.pop()
        (key,) = _hashable([key])
        self._top(dict)[key] = value
      case 'SETITEMS':
        pairs = self._above()
        keys = _hashable(pairs[::2])
        self._top(dict).update(zip(keys, pairs[1::2], strict=True))
      case 'ADDITEMS':
        items = self._above()
        self._top(set).update(_hashable(items))
      case 'MEMOIZE':
        self._memo[len(self._memo)] = stack[-1]
      case 'PUT' | 'BINPUT' | 'LONG_BINPUT':
        self._memo[argument] = stack[-1]
      case 'GET' | 'BINGET' | 'LONG_BINGET':
        found = self._memo[argument]
        filled = isinstance(found, _Unfilled) and found.value is not None
        stack.append(found.value if filled else found)
      case 'GLOBAL':
        stack.append(_allowed(argument.replace(' ', '.', 1)))
      case 'STACK_GLOBAL':
        last, module = stack.pop(), stack.pop()
        stack.append(_allowed(f'{module}.{last}'))
      case 'REDUCE':
        arguments, function = stack.pop(), stack.pop()
        stack.append(self._call(function, arguments))
      case 'BUILD':
        state = stack.pop()
        stack[-1] = _build(stack[-1], state)
      case 'BINPERSID':
        stack.append(self._persistent(stack.pop()))
      case _:
        raise _Refused(f'makes an object by {name}: {_EXPECTED}')

  def _above(self) -> list[Any]:
    """Takes what is above the last mark, and the mark."""
    taken, self._stack = self._stack, self._marked.pop()
    return taken

  def _top(self, kind: type) -> Any:
    """What is on top, if it is a container of this kind."""
    if not isinstance(self._stack[-1], kind):
      raise _Refused(f'is damaged: a {kind.__name__} is missing: {_EXPECTED}')
    return self._stack[-1]

  def _call(self, function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
      raise _Refused(f'calls something without a name: {_EXPECTED}')
    if function.text == _NESTED:
      if self._depth:
        raise _Refused(f'has a file in a file in a file: {_EXPECTED}')
      return _read_bytes(io.BytesIO(*arguments), self._depth + 1)
    called = _TABLE[function.text]
    if called is None:
      raise _Refused(f'calls {function.text}: {_EXPECTED}')
    return called(arguments)


def _allowed(name: str) -> _Name:
  if name not in _TABLE and name != _NESTED:
    raise _Refused(f'names {name}: {_EXPECTED}')
  return _Name(name)


def _build(made: Any, state: Any) -> Any:
  """Gives what was just made its state."""
  if isinstance(made, _Unfilled):
    _, shape, dtype, fortran, content = state
    made.value = _array(shape, dtype, fortran, content)
    return made.value
  if isinstance(made, _DType):
    made.order = state[1]
    return made
  # What torch notes beside the parameters of a module.
  if isinstance(made, dict) and set(state) <= {'_metadata'}:
    return made
  raise _Refused(f'gives a state to something that has none: {_EXPECTED}')
