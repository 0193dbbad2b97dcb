# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Text documents in files of every format that corpora come in.

A reader finds documents by their index in the file, and looks no further into
the file than it is asked to. It may be closed at any time: the next access
opens the file again. docs/data_formats.md says what each format is.
"""

import array
from collections.abc import Callable
import gzip
from typing import Any, Protocol
import zlib

from etils import epath
import grain
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax.data import text_records

_BLOCK = 1 << 20  # Bytes searched for line ends at a time.


class Reader(Protocol):
  """The documents of one file.

  What is damaged raises `errors.InputError`, which names file and record.
  """

  def count(self, most: int) -> int:
    """Returns the number of documents, or `most` if there are more."""
    ...

  def read(self, index: int) -> str:
    """Returns a document that there is."""
    ...

  def close(self) -> None:
    """Lets go of the file."""
    ...


class _Lines:
  """One document a line: of plain text, or JSON objects if `field` is set.

  Where lines begin is kept in memory, 8 bytes for each line found so far.
  """

  def __init__(self, name: epath.Path, field: str):
    self._name, self._field = name, field
    self._file: Any = None
    self._starts = array.array('q', [0])
    self._searched, self._at_end = 0, False

  def close(self) -> None:
    if self._file is not None:
      self._file.close()
    self._file = None

  def _bytes(self, start: int, count: int) -> bytes:
    with text_records.damage(f'{self._name} cannot be read', 'a readable file'):
      if self._file is None:
        self._file = self._name.open('rb')
      self._file.seek(start)
      return self._file.read(count)

  def count(self, most: int) -> int:
    while len(self._starts) <= most and not self._at_end:
      block = self._bytes(self._searched, _BLOCK)
      ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord('\n'))
      starts = ends.astype(np.int64) + (self._searched + 1)
      self._starts.frombytes(starts.tobytes())
      self._searched += len(block)
      self._at_end = not block
      if self._at_end and self._starts[-1] < self._searched:
        self._starts.append(self._searched)  # The last line has no end.
    return min(len(self._starts) - 1, most)

  def read(self, index: int) -> str:
    self.count(index + 1)
    start, end = self._starts[index], self._starts[index + 1]
    line = self._bytes(start, end - start).rstrip(b'\r\n')
    place = text_records.where(self._name, index)
    return text_records.parse(line, self._field, place)


class _CompressedLines:
  """The same compressed with gzip, which can be read only forwards.

  Going back begins the file anew, so read documents in their order.
  """

  def __init__(self, name: epath.Path, field: str):
    self._name, self._field = name, field
    self._raw: Any = None
    self._file: Any = None
    self._next = 0  # The line at which the file is, and the one before it.
    self._last = b''
    self._count, self._at_end = 0, False

  def close(self) -> None:
    if self._raw is not None:
      self._file.close()
      self._raw.close()
    self._raw = None

  def _line(self) -> bytes:
    """Returns the next line; nothing at the end."""
    place = text_records.where(self._name, self._next)
    self._next += 1
    with text_records.damage(f'{place} cannot be read', 'a whole gzip file'):
      try:
        self._last = self._file.readline()
      except zlib.error as e:  # No subclass of anything.
        raise ValueError(str(e)) from e
    return self._last

  def _seek(self, index: int) -> None:
    if self._raw is None or index < self._next:
      self.close()
      with text_records.damage(
        f'{self._name} cannot be read', 'a readable file'
      ):
        self._raw = self._name.open('rb')
      self._file, self._next = gzip.GzipFile(fileobj=self._raw), 0
    while self._next < index:
      self._line()

  def count(self, most: int) -> int:
    if self._count < most and not self._at_end:
      self._seek(self._count)
    while self._count < most and not self._at_end:
      self._at_end = not self._line()
      self._count += not self._at_end
    return min(self._count, most)

  def read(self, index: int) -> str:
    # Whoever has just counted up to a document wants to read it.
    if self._raw is None or index != self._next - 1:
      self._seek(index)
      self._line()
    line = self._last.rstrip(b'\r\n')
    place = text_records.where(self._name, index)
    return text_records.parse(line, self._field, place)


class _Parquet:
  """A column of strings; that of one row group is held at a time."""

  def __init__(self, name: epath.Path, field: str):
    self._name, self._field = name, field
    self._file: Any = None
    self._group = -1  # That of the column held.
    self._column: Any = None
    footer = self._open().metadata
    groups = range(footer.num_row_groups)
    rows = [footer.row_group(group).num_rows for group in groups]
    self._ends = np.cumsum([0, *rows])[1:]
    schema = self._open().schema_arrow
    if field not in schema.names:
      raise errors.InputError(
        f'{name} has no column {field!r}: expected it, not only '
        f'{", ".join(schema.names)}'
      )
    kind = schema.field(field).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
      raise errors.InputError(
        f'{name}: column {field!r} is of type {kind}: expected string'
      )

  def _open(self) -> Any:
    if self._file is None:
      with text_records.damage(
        f'{self._name} cannot be read', 'a whole parquet file'
      ):
        self._file = parquet.ParquetFile(self._name.open('rb'))
    return self._file

  def close(self) -> None:
    if self._file is not None:
      self._file.close(force=True)
    self._file, self._group, self._column = None, -1, None

  def count(self, most: int) -> int:
    return min(int(self._ends[-1]) if len(self._ends) else 0, most)

  def read(self, index: int) -> str:
    place = text_records.where(self._name, index)
    group = int(np.searchsorted(self._ends, index, 'right'))
    before = int(self._ends[group - 1]) if group else 0
    with text_records.damage(f'{place} cannot be read', 'a whole parquet file'):
      if group != self._group:
        table = self._open().read_row_group(group, [self._field])
        self._group, self._column = group, table[self._field]
      text = self._column[index - before].as_py()
    return text_records.check(text, place)


class _ArrayRecord:
  """Records that are text, or JSON objects if `field` is set."""

  def __init__(self, name: epath.Path, field: str):
    if '://' in str(name):
      raise errors.InputError(
        f'{name} is an ArrayRecord file that is not on this machine: expected '
        'a local copy of it, or files of another format'
      )
    self._name, self._field = name, field
    self._source: Any = None
    self._records = len(self._open())

  def _open(self) -> Any:
    if self._source is None:
      with text_records.damage(
        f'{self._name} cannot be read', 'a whole ArrayRecord file'
      ):
        self._source = grain.sources.ArrayRecordDataSource(str(self._name))
    return self._source

  def close(self) -> None:
    self._source = None

  def count(self, most: int) -> int:
    return min(self._records, most)

  def read(self, index: int) -> str:
    place = text_records.where(self._name, index)
    with text_records.damage(
      f'{place} cannot be read', 'a whole ArrayRecord file'
    ):
      content = self._open()[index]
    return text_records.parse(content, self._field, place)


def _lines_of_text(name: epath.Path, field: str) -> Reader:
  del field  # The line is the document.
  return _Lines(name, '')


# By the ending of a file's name.
_READERS: dict[str, Callable[[epath.Path, str], Reader]] = {
  '.jsonl': _Lines,
  '.jsonl.gz': _CompressedLines,
  '.parquet': _Parquet,
  '.array_record': _ArrayRecord,
  '.arrayrecord': _ArrayRecord,
  '.txt': _lines_of_text,
}
# Formats whose records may be the text itself.
_PLAIN = ('.txt', '.array_record', '.arrayrecord')
ENDINGS = tuple(_READERS)


def ending(name: epath.Path, field: str) -> str:
  """Returns the ending of a name, which says what format a file has.

  Args:
    name: the file.
    field: of JSON objects and of tables, that holds the text; empty where
      records are the text.

  Raises:
    errors.InputError: if it is none of `ENDINGS`, or needs a field.
  """
  found = next((e for e in ENDINGS if str(name).endswith(e)), None)
  if found is None:
    raise errors.InputError(
      f'{name} is of no known format: expected a name that ends in '
      f'{", ".join(ENDINGS)}'
    )
  if not field and found not in _PLAIN:
    raise errors.InputError(
      f'{name} needs a field: expected the name of the one that holds the text'
    )
  return found


def open_file(name: epath.Path, field: str) -> Reader:
  """Opens a file; see `ending` for its arguments and what it raises besides.

  Raises:
    errors.InputError: if the file is damaged or has no such column.
  """
  return _READERS[ending(name, field)](name, field)
