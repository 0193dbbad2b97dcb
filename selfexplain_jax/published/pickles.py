# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads pickles and `.pt` files of arrays and plain containers, and no others.

The one place that reads pickle, and `launch.convert_published` the one binary.
A pickle is a program: it names functions, and a reader calls them. Here nothing
that a file names is ever looked up or called. Opcodes are interpreted over
plain values, names are keys of a table of our own functions, and a name that is
not in it ends the reading. So a file that names `os.system` does nothing but be
refused.

Nothing is larger than what the file holds: reads stop at its end, and arrays
are views of its bytes.
"""

from collections.abc import Callable
import io
import pickletools
from typing import Any, BinaryIO, cast
import zipfile

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.published import pickled_values as values

# What a file of torch.save from before it wrote zip files begins with.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


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


Persistent = Callable[[Any], values.Storage]


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
  except values.Refused as e:
    raise errors.InputError(f'{path} {e}') from e
  except Exception as e:  # A damaged or hostile file may lead to any.
    what = str(e).splitlines()[0][:200] if str(e) else type(e).__name__
    raise errors.InputError(
      f'{path} is damaged, or neither a pickle nor a .pt file: {what}: '
      f'{values.EXPECTED}'
    ) from e


def _read_zip(source: BinaryIO) -> Any:
  """Reads a zip file of `torch.save`."""
  with zipfile.ZipFile(source) as archive:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
      raise values.Refused(
        'is a compressed zip file: expected one of torch.save'
      )
    programs = [n for n in entries if n.count('/') == 1 and _is_program(n)]
    if len(programs) != 1:
      raise values.Refused(
        f'is a zip file with {len(programs)} files data.pkl: expected one of '
        'torch.save'
      )
    root = programs[0].removesuffix('data.pkl')
    order = f'{root}byteorder'
    if order in entries and archive.read(order) != b'little':
      raise values.Refused(
        'holds numbers of another byte order: expected little'
      )
    found: dict[str, values.Storage] = {}

    def persistent(mark: Any) -> values.Storage:
      dtype, key, count = _storage_mark(mark)
      if key not in found:
        content = archive.read(f'{root}data/{key}')
        found[key] = values.storage(content, dtype, count, key)
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
    raise values.Refused('is of an unknown version of torch.save')
  system = _Machine(bounded, _no_storage, depth).run()
  if not isinstance(system, dict) or not system.get('little_endian'):
    raise values.Refused('holds numbers of another byte order: expected little')

  # The numbers follow the program that needs them: it is read twice.
  start = bounded.tell()
  marks: dict[str, tuple[Any, int]] = {}

  def look(mark: Any) -> values.Storage:
    dtype, key, count = _storage_mark(mark)
    marks[key] = dtype, count
    return values.Storage(None)

  _Machine(bounded, look, depth).run()
  found: dict[str, values.Storage] = {}
  for key in _Machine(bounded, _no_storage, depth).run():
    dtype, count = marks[key]
    bounded.read(8)  # The count again.
    content = bounded.read(count * np.dtype(dtype).itemsize)
    found[key] = values.storage(content, dtype, count, key)
  bounded.seek(start)
  return _Machine(
    bounded, lambda mark: found[_storage_mark(mark)[1]], depth
  ).run()


def _no_storage(mark: Any) -> values.Storage:
  raise values.Refused(f'refers to something outside of it: {values.EXPECTED}')


def _storage_mark(mark: Any) -> tuple[Any, str, int]:
  """The dtype, key and count of numbers that a file refers to."""
  if (
    not isinstance(mark, tuple)
    or len(mark) not in (5, 6)
    or mark[0] != 'storage'
    or not isinstance(mark[1], values.Name)
    or mark[1].text not in values.STORAGES
    or not isinstance(mark[2], str)
    or not isinstance(mark[4], int)
    or mark[4] < 0
    or mark[5:] not in ((), (None,))
  ):
    raise values.Refused(
      f'refers to something that is no storage: {values.EXPECTED}'
    )
  return values.STORAGES[mark[1].text], mark[2], mark[4]


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
    raise values.Refused('is cut short: expected a whole pickle')

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
        keys = values.hashable(pairs[::2])
        self._stack.append(dict(zip(keys, pairs[1::2], strict=True)))
      case 'FROZENSET':
        members = self._above()
        self._stack.append(frozenset(values.hashable(members)))
      case 'APPEND':
        item = stack.pop()
        self._top(list).append(item)
      case 'APPENDS':
        items = self._above()
        self._top(list).extend(items)
      case 'SETITEM':
        value, key = stack.pop(), stack.pop()
        (key,) = values.hashable([key])
        self._top(dict)[key] = value
      case 'SETITEMS':
        pairs = self._above()
        keys = values.hashable(pairs[::2])
        self._top(dict).update(zip(keys, pairs[1::2], strict=True))
      case 'ADDITEMS':
        items = self._above()
        self._top(set).update(values.hashable(items))
      case 'MEMOIZE':
        self._memo[len(self._memo)] = stack[-1]
      case 'PUT' | 'BINPUT' | 'LONG_BINPUT':
        self._memo[argument] = stack[-1]
      case 'GET' | 'BINGET' | 'LONG_BINGET':
        found = self._memo[argument]
        filled = isinstance(found, values.Unfilled) and found.value is not None
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
        stack[-1] = values.build(stack[-1], state)
      case 'BINPERSID':
        stack.append(self._persistent(stack.pop()))
      case _:
        raise values.Refused(f'makes an object by {name}: {values.EXPECTED}')

  def _above(self) -> list[Any]:
    """Takes what is above the last mark, and the mark."""
    taken, self._stack = self._stack, self._marked.pop()
    return taken

  def _top(self, kind: type) -> Any:
    """What is on top, if it is a container of this kind."""
    if not isinstance(self._stack[-1], kind):
      raise values.Refused(
        f'is damaged: a {kind.__name__} is missing: {values.EXPECTED}'
      )
    return self._stack[-1]

  def _call(self, function: Any, arguments: Any) -> Any:
    if not isinstance(function, values.Name) or not isinstance(
      arguments, tuple
    ):
      raise values.Refused(f'calls something without a name: {values.EXPECTED}')
    if function.text == _NESTED:
      if self._depth:
        raise values.Refused(
          f'has a file in a file in a file: {values.EXPECTED}'
        )
      return _read_bytes(io.BytesIO(*arguments), self._depth + 1)
    called = values.TABLE[function.text]
    if called is None:
      raise values.Refused(f'calls {function.text}: {values.EXPECTED}')
    return called(arguments)


def _allowed(name: str) -> values.Name:
  if name not in values.TABLE and name != _NESTED:
    raise values.Refused(f'names {name}: {values.EXPECTED}')
  return values.Name(name)
