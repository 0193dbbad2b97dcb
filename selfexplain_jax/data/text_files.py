# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The documents of many text files, by one index over all of them."""

import bisect
import hashlib
import sys
from typing import Any

from etils import epath
import grain

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import text_formats
from selfexplain_jax.data import text_records

_MAGIC = '*?['
# Bytes at either end of a file that its note has a digest of: a digest of all
# of it would read a hundred gigabytes for the sake of a thousand documents.
_END = 1 << 16


class TextFiles(grain.sources.RandomAccessDataSource):
  """Document i of files in a fixed order, which holds no document in memory.

  A file is looked into only when a document in it or behind it is asked for.
  """

  def __init__(self, pattern: str, field: str):
    """Finds the files.

    Args:
      pattern: names or globs, separated by commas, local or `gs://`; the files
        of a glob are in the order of their names.
      field: of records, that holds the text; empty where records are text.

    Raises:
      errors.InputError: if nothing matches, a file is named twice, or one is of
        no known format.
    """
    self.pattern, self._field = pattern, field
    self._names = find(pattern)
    for name in self._names:
      text_formats.ending(name, field)
    self._readers: list[text_formats.Reader] = []
    self._open = 0  # Which reader may have its file open.
    # Where each file ends, of those whose documents have all been counted.
    self._ends: list[int] = []

  def _reader(self, number: int) -> text_formats.Reader:
    if number == len(self._readers):
      self._readers.append(
        text_formats.open_file(self._names[number], self._field)
      )
    if number != self._open:
      self._readers[self._open].close()
      self._open = number
    return self._readers[number]

  def count(self, most: int) -> int:
    """Returns the number of documents, or `most` if there are more."""
    while len(self._ends) < len(self._names):
      before = self._ends[-1] if self._ends else 0
      if most <= before:
        return most
      found = self._reader(len(self._ends)).count(most - before)
      if before + found == most:
        return most  # Here or behind it may be more.
      self._ends.append(before + found)
    return min(self._ends[-1], most)

  def __len__(self) -> int:
    return self.count(sys.maxsize - 1)

  def __getitem__(self, index: int) -> str:
    """Returns a document.

    Raises:
      errors.InputError: if there is none, or it is damaged; the message names
        the file and the record.
    """
    number, record = self._find(index)
    return self._reader(number).read(record)

  def where(self, index: int) -> str:
    """Returns how errors name a document that there is."""
    number, record = self._find(index)
    return text_records.where(self._names[number], record)

  def _find(self, index: int) -> tuple[int, int]:
    """Returns the file that holds a document, and its index there."""
    if self.count(index + 1) <= index:
      raise errors.InputError(
        f'{self.pattern} has {len(self)} documents: expected an index below '
        f'that, not {index}'
      )
    number = bisect.bisect_right(self._ends, index)
    return number, index - (self._ends[number - 1] if number else 0)

  def note(self, end: int) -> dict[str, Any]:
    """Returns what tells the documents before `end` from those of others.

    Files that lie behind them are not looked at.

    Args:
      end: at least 1, at most the number of documents.

    Returns:
      `field`, and of each file its `name` without its folder, its `bytes`, and
      `ends`, the SHA-256 of the first and the last 64 KiB.
    """
    self.count(end)
    last = bisect.bisect_left(self._ends, end)
    return {
      'field': self._field,
      'files': [note(name) for name in self._names[: last + 1]],
    }


_EXPECTED = f'text files that end in {", ".join(text_formats.ENDINGS)}'


def find(pattern: str, expected: str = _EXPECTED) -> list[epath.Path]:
  """Returns the files of a pattern of `TextFiles`, which see.

  Raises:
    errors.InputError: if nothing matches, saying what was expected, or a file
      is named twice.
  """
  found: list[epath.Path] = []
  for one in (part.strip() for part in pattern.split(',')):
    own = sorted(_glob(one), key=str) if one else []
    if not own:
      raise errors.InputError(
        f'no file matches {one!r} of {pattern!r}: expected {expected}'
      )
    found += own
  for name in found:
    if found.count(name) > 1:
      raise errors.InputError(
        f'{name} is named twice by {pattern!r}: expected each file once'
      )
  return found


def _glob(pattern: str) -> list[epath.Path]:
  """Returns the files that match one name or glob."""
  whole = files.path(pattern)
  parts = whole.parts
  magic = [n for n, part in enumerate(parts) if set(part) & set(_MAGIC)]
  if not magic:
    return [whole] if whole.is_file() else []
  if '**' in pattern:
    raise errors.InputError(
      f'{pattern!r} goes through all folders: expected a * for each level'
    )
  folder = epath.Path(*parts[: magic[0]])
  below = '/'.join(parts[magic[0] :])
  return list(folder.glob(below))


def note(name: epath.Path) -> dict[str, Any]:
  """Returns what tells a file from others; see `TextFiles.note`."""
  size = name.stat().length
  state = hashlib.sha256()
  with name.open('rb') as file:
    state.update(file.read(_END))
    file.seek(max(0, size - _END))
    state.update(file.read(_END))
  return {'name': name.name, 'bytes': size, 'ends': state.hexdigest()}
