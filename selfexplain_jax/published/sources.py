# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Files of published data: found, opened, and refused if they are pickles."""

from collections.abc import Iterator

from etils import epath
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax.data import text_files

# How pickles are called.
PICKLES = ('.pkl', '.pickle', '.pt', '.pth')

# Rows that are read at once: vectors make each of them large.
_ROWS = 256


def refuse_pickle(name: epath.Path) -> None:
  """Raises an error if a file is a pickle, saying how to convert it.

  Raises:
    errors.InputError: naming the file and `launch.convert_published`.
  """
  if name.suffix in PICKLES:
    raise errors.InputError(
      f'{name} is a pickle, which could run code: convert it first with '
      f'python -m launch.convert_published --config.source={name} '
      '--workdir=DIR, and name DIR'
    )


def find(pattern: str, field: str, expected: str) -> list[epath.Path]:
  """Finds the files of names or globs, separated by commas.

  Args:
    pattern: names or globs, local or `gs://`.
    field: of the config, that says so.
    expected: what files of which format.

  Raises:
    errors.InputError: if there is none, or one is a pickle.
  """
  if not pattern:
    raise errors.InputError(f'--config.{field} is missing: expected {expected}')
  found = text_files.find(pattern, expected)
  for name in found:
    refuse_pickle(name)
  return found


def batches(
  name: epath.Path, schema: pa.Schema, what: str
) -> Iterator[tuple[int, pa.RecordBatch]]:
  """Yields the rows of a parquet file, a few hundred in memory at a time.

  Args:
    name: the file.
    schema: the columns that are needed; others are not read. A column of
      numbers may be of another width, and null only where the schema's
      metadata of the field says `optional`.
    what: the format, for errors.

  Yields:
    The number of the first row, and rows.

  Raises:
    errors.InputError: if the file is damaged, has no rows, or a column is
      missing, of another kind, or null.
  """
  number = 0
  try:
    with name.open('rb') as source:
      opened = parquet.ParquetFile(source)
      _check_columns(name, opened.schema_arrow, schema, what)
      for batch in opened.iter_batches(_ROWS, columns=schema.names):
        _check_nulls(name, number, batch, schema)
        yield number, batch
        number += batch.num_rows
  except (pa.ArrowException, OSError) as e:
    raise errors.InputError(
      f'{name} is damaged, or no parquet file: {str(e).splitlines()[0]}: '
      f'expected {what}'
    ) from e
  if not number:
    raise errors.InputError(f'{name} has no rows: expected {what}')


def place(name: epath.Path, row: int) -> str:
  """How errors name a row of a file."""
  return f'{name}: row {row}'


def optional(name: str, kind: pa.DataType) -> pa.Field:
  """A column that may be null."""
  return pa.field(name, kind, metadata={'optional': 'yes'})


def _check_nulls(
  name: epath.Path, first: int, batch: pa.RecordBatch, schema: pa.Schema
) -> None:
  for field in schema:
    column = batch.column(field.name)
    if column.null_count and not field.metadata:
      row = column.is_null().index(True).as_py()
      raise errors.InputError(
        f'{place(name, first + row)}: {field.name} is null: expected '
        f'{field.type}'
      )


def _check_columns(
  name: epath.Path, found: pa.Schema, expected: pa.Schema, what: str
) -> None:
  for field in expected:
    if field.name not in found.names:
      raise errors.InputError(
        f'{name} has no column {field.name}: expected {what}'
      )
    kind = found.field(field.name).type
    if not _alike(kind, field.type):
      raise errors.InputError(
        f'{name}: column {field.name} is of type {kind}: expected {field.type}'
      )


def _alike(found: pa.DataType, expected: pa.DataType) -> bool:
  """Whether values of a type can stand for those of another."""
  kinds = pa.types
  if kinds.is_list(expected):
    nested = kinds.is_list(found) or kinds.is_large_list(found)
    return (nested or kinds.is_fixed_size_list(found)) and _alike(
      found.value_type, expected.value_type
    )
  if kinds.is_struct(expected):
    return kinds.is_struct(found) and all(
      found.get_field_index(f.name) >= 0
      and _alike(found.field(f.name).type, f.type)
      for f in expected
    )
  if kinds.is_string(expected):
    return kinds.is_string(found) or kinds.is_large_string(found)
  if kinds.is_boolean(expected):
    return kinds.is_boolean(found) or kinds.is_null(found)
  if kinds.is_integer(expected):
    return kinds.is_integer(found)
  return kinds.is_floating(found)
