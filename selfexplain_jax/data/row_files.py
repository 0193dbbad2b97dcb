# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Rows of published data: JSON arrays, JSONL and parquet files, read whole."""

from collections.abc import Callable, Iterator
import io
import json
from typing import Any, NamedTuple

from etils import epath
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import text_files
from selfexplain_jax.data import text_records

Fields = dict[str, Any]


class Row(NamedTuple):
  """A row.

  Attributes:
    place: how errors name it.
    fields: what it holds, not checked.
  """

  place: str
  fields: Fields


def read(pattern: str, field: str) -> tuple[list[Row], list[Fields]]:
  """Reads the rows of files, in order.

  Args:
    pattern: names or globs, separated by commas, local or `gs://`.
    field: of the config, that names them.

  Returns:
    The rows; and what tells each file from another: `name`, without its folder,
    `bytes` and `digest` (SHA-256).

  Raises:
    errors.InputError: if there are no files or rows, or a file is damaged or of
      no known format.
  """
  expected = f'files that end in {", ".join(_READERS)}'
  if not pattern:
    raise errors.InputError(f'--config.{field} is missing: expected {expected}')
  rows: list[Row] = []
  notes: list[Fields] = []
  for name in text_files.find(pattern, expected):
    reader = next(
      (r for e, r in _READERS.items() if name.name.endswith(e)), None
    )
    if reader is None:
      raise errors.InputError(
        f'{name} is of no known format: expected {expected}'
      )
    content = name.read_bytes()
    for index, fields in enumerate(reader(name, content)):
      place = text_records.where(name, index)
      if not isinstance(fields, dict):
        raise errors.InputError(
          f'{place} is of type {type(fields).__name__}: expected an object'
        )
      rows.append(Row(place, fields))
    digest = files.digest(content)
    notes.append({'name': name.name, 'bytes': len(content), 'digest': digest})
  if not rows:
    raise errors.InputError(f'{pattern} has no rows: expected at least one')
  return rows, notes


def text(row: Row, *names: str) -> str:
  """Returns a text in a row, of a field or of one within fields.

  Raises:
    errors.InputError: if there is none, or an empty one.
  """
  found = value(row, *names)
  if not isinstance(found, str) or not found.strip():
    raise errors.InputError(
      f'{row.place} has {found!r} in {".".join(names)}: expected a text'
    )
  return found


def value(row: Row, *names: str) -> Any:
  """Returns what a field holds, or one within fields.

  Raises:
    errors.InputError: if there is no such field.
  """
  found: Any = row.fields
  for depth, name in enumerate(names):
    if not isinstance(found, dict) or name not in found:
      here = ', '.join(found) if isinstance(found, dict) else repr(found)
      raise errors.InputError(
        f'{row.place} has no field {".".join(names[: depth + 1])}: expected it '
        f'beside {here[:200] or "nothing"}'
      )
    found = found[name]
  return found


def _array(name: epath.Path, content: bytes) -> list[Any]:
  with text_records.damage(f'{name} is not JSON', 'an array of objects'):
    found = json.loads(content)
  if not isinstance(found, list):
    raise errors.InputError(
      f'{name} holds {type(found).__name__}: expected an array of objects'
    )
  return found


def _lines(name: epath.Path, content: bytes) -> Iterator[Any]:
  # Not splitlines: JSON may hold other line ends than this one.
  for index, line in enumerate(content.rstrip(b'\n').split(b'\n')):
    place = text_records.where(name, index)
    with text_records.damage(f'{place} is not JSON', 'an object a line'):
      found = json.loads(line)
    yield found


def _table(name: epath.Path, content: bytes) -> list[Any]:
  with text_records.damage(f'{name} cannot be read', 'a whole parquet file'):
    return parquet.read_table(io.BytesIO(content)).to_pylist()


# By the ending of a file's name.
_READERS: dict[str, Callable[[epath.Path, bytes], Any]] = {
  '.json': _array,
  '.jsonl': _lines,
  '.parquet': _table,
}
