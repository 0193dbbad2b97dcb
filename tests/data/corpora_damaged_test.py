# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is said to damaged corpora."""

from collections.abc import Callable
import gzip
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax.data import corpora
from tests.data import text_sources
from tests.models import byte_pairs

Damage = Callable[[pathlib.Path], None]
# Of which the third is damaged, or the file is.
_TEXTS = tuple(f'the mill stands {i}' for i in range(6))
_RECORD = 'record 2, counted from 0, '


def _third(line: bytes) -> Damage:
  """Puts something else in place of the third line."""

  def damage(name: pathlib.Path) -> None:
    packed = name.name.endswith('.gz')
    content = name.read_bytes()
    lines = (gzip.decompress(content) if packed else content).splitlines(True)
    lines[2] = line + b'\n'
    content = b''.join(lines)
    name.write_bytes(gzip.compress(content) if packed else content)

  return damage


def _third_record(record: bytes) -> Damage:
  def damage(name: pathlib.Path) -> None:
    content = text_sources.json_lines(_TEXTS).splitlines()
    text_sources.write_records(name, [*content[:2], record, *content[3:]])

  return damage


def _cut(share: float) -> Damage:
  def damage(name: pathlib.Path) -> None:
    content = name.read_bytes()
    name.write_bytes(content[: int(len(content) * share)])

  return damage


def _column(values: pa.Array, name: str = 'text') -> Damage:
  """Writes a table with another column."""
  return lambda file: parquet.write_table(pa.table({name: values}), file)


def _bytes(content: bytes) -> Damage:
  def damage(name: pathlib.Path) -> None:
    name.write_bytes(content)

  return damage


def _flipped(name: pathlib.Path) -> None:
  """Flips a byte of every record."""
  content = name.read_bytes()
  name.write_bytes(content.replace(b'mill', b'kiln'))


# The ending of a file of six documents, what is wrong, the damage, and the
# pattern of what the error says behind the file's name.
CASES: tuple[tuple[str, str, Damage, str], ...] = (
  (
    '.jsonl',
    'field',
    _third(b'{"body": "x"}'),
    _RECORD + "has no field 'text'",
  ),
  ('.jsonl', 'list', _third(b'["x"]'), _RECORD + 'has no field .*, not list'),
  ('.jsonl', 'number', _third(b'{"text": 1}'), _RECORD + 'holds int: expected'),
  ('.jsonl', 'null', _third(b'{"text": null}'), _RECORD + 'holds NoneType'),
  ('.jsonl', 'empty', _third(b'{"text": ""}'), _RECORD + 'is empty'),
  ('.jsonl', 'blank line', _third(b''), _RECORD + 'is not JSON'),
  ('.jsonl', 'not JSON', _third(b'{"text": "x"'), _RECORD + 'is not JSON'),
  ('.jsonl', 'not UTF-8', _third(b'{"text": "\xff"}'), _RECORD + 'is not text'),
  (
    '.jsonl',
    'surrogate',
    _third(b'{"text": "\\ud834 x"}'),
    _RECORD + 'has half of a character',
  ),
  ('.jsonl', 'truncated', _cut(0.9), 'record 5, .* is not JSON'),
  ('.jsonl.gz', 'truncated', _cut(0.5), 'cannot be read, .*: expected a whole'),
  ('.jsonl.gz', 'not gzip', _bytes(b'{"text": "x"}'), 'Not a gzipped file'),
  (
    '.jsonl.gz',
    'field',
    _third(b'{}'),
    _RECORD + 'has no .*, not an empty one',
  ),
  ('.txt', 'empty', _third(b''), _RECORD + 'is empty: expected a text'),
  (
    '.txt',
    'not UTF-8',
    _third(b'mill \xe9'),
    _RECORD + 'is not text at byte 5',
  ),
  (
    '.parquet',
    'truncated',
    _cut(0.6),
    'cannot be read, .*a whole parquet file',
  ),
  (
    '.parquet',
    'nothing',
    _bytes(b''),
    'cannot be read, .*a whole parquet file',
  ),
  (
    '.parquet',
    'column',
    _column(pa.array(_TEXTS), 'body'),
    "has no column 'text': expected it, not only body",
  ),
  (
    '.parquet',
    'type',
    _column(pa.array(range(6))),
    "column 'text' is of type int64: expected string",
  ),
  (
    '.parquet',
    'null',
    _column(pa.array(['x', 'x', None, *_TEXTS[3:]])),
    _RECORD + 'holds NoneType',
  ),
  (
    '.parquet',
    'empty',
    _column(pa.array(['x', 'x', '', *_TEXTS[3:]])),
    _RECORD + 'is empty',
  ),
  ('.array_record', 'truncated', _cut(0.5), 'a whole ArrayRecord file'),
  ('.array_record', 'nothing', _bytes(b''), 'a whole ArrayRecord file'),
  ('.array_record', 'flipped', _flipped, 'a whole ArrayRecord file'),
  (
    '.array_record',
    'field',
    _third_record(b'{"body": "x"}'),
    _RECORD + "has no field 'text'",
  ),
  (
    '.array_record',
    'not JSON',
    _third_record(b'the mill'),
    _RECORD + 'is not JSON',
  ),
  (
    '.array_record',
    'not UTF-8',
    _third_record(b'\xff'),
    _RECORD + 'is not text at byte 0',
  ),
)


class DamagedTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (f'{ending} {what}', ending, damage, said)
    for ending, what, damage, said in CASES
  )
  def test_is_named(self, ending, damage, said):
    name = pathlib.Path(self.create_tempdir().full_path) / f'part{ending}'
    text_sources.write(name, _TEXTS)
    tokenizer = byte_pairs.tokenizer()
    whole = corpora.of_files(str(name), 'text', tokenizer)
    self.assertLen(list(corpora.read(whole, 0, 6, 8)), 6)
    damage(name)
    with self.assertRaisesRegex(errors.InputError, said) as caught:
      list(
        corpora.read(corpora.of_files(str(name), 'text', tokenizer), 0, 6, 8)
      )
    self.assertIn(str(name), str(caught.exception))
    self.assertLen(str(caught.exception).splitlines(), 1)
    self.assertLess(len(str(caught.exception)), 400 + len(str(name)))


if __name__ == '__main__':
  absltest.main()
