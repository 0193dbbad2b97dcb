# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes text files of every format that corpora come in."""

from collections.abc import Callable, Sequence
import gzip
import json
import pathlib

from array_record.python import array_record_module
import pyarrow as pa
from pyarrow import parquet


def json_lines(texts: Sequence[str]) -> bytes:
  """Returns texts as JSON objects, one a line."""
  lines = (json.dumps({'id': i, 'text': text}) for i, text in enumerate(texts))
  return ''.join(f'{line}\n' for line in lines).encode()


def _jsonl(name: pathlib.Path, texts: Sequence[str]) -> None:
  name.write_bytes(json_lines(texts))


def _compressed(name: pathlib.Path, texts: Sequence[str]) -> None:
  name.write_bytes(gzip.compress(json_lines(texts)))


def _parquet(name: pathlib.Path, texts: Sequence[str]) -> None:
  table = pa.table({'id': range(len(texts)), 'text': pa.array(texts)})
  parquet.write_table(table, name, row_group_size=3)


def write_records(name: pathlib.Path, records: Sequence[bytes]) -> None:
  """Writes records into an ArrayRecord file, uncompressed."""
  options = 'group_size:1,uncompressed'
  writer = array_record_module.ArrayRecordWriter(str(name), options)
  for record in records:
    writer.write(record)
  writer.close()


def _array_record(name: pathlib.Path, texts: Sequence[str]) -> None:
  write_records(name, json_lines(texts).splitlines())


def _lines(name: pathlib.Path, texts: Sequence[str]) -> None:
  name.write_text(''.join(f'{text}\n' for text in texts))


# By the ending of the name; the field is `text`.
WRITERS: dict[str, Callable[[pathlib.Path, Sequence[str]], None]] = {
  '.jsonl': _jsonl,
  '.jsonl.gz': _compressed,
  '.parquet': _parquet,
  '.array_record': _array_record,
  '.arrayrecord': _array_record,
  '.txt': _lines,
}


def write(name: pathlib.Path, texts: Sequence[str]) -> pathlib.Path:
  """Writes texts into a file whose name says the format."""
  ending = '.' + name.name.split('.', 1)[1]
  WRITERS[ending](name, texts)
  return name
