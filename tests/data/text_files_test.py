# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of documents in text files of every format."""

import pathlib
import random
import shutil
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import grain

from selfexplain_jax import errors
from selfexplain_jax.data import text_files
from selfexplain_jax.data import text_formats
from tests.data import text_sources

# Longer than a block of those that are searched for line ends below; with what
# JSON escapes, and with what one encoding of text or another takes for an end.
TEXTS = tuple(
  f'document {i}: ' + 'é " \\ \u2028 \x85 𝄞 <|eot_id|> ' * (i % 3 * 4)
  for i in range(11)
)


class TextFilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.enter_context(mock.patch.object(text_formats, '_BLOCK', 100))

  def open(self, pattern: str = '*', field: str = 'text'):
    return text_files.TextFiles(str(self.folder / pattern), field)

  @parameterized.parameters(*text_sources.WRITERS)
  def test_documents_in_any_order(self, ending):
    text_sources.write(self.folder / f'all{ending}', TEXTS)
    order = list(range(len(TEXTS))) * 2
    random.Random(0).shuffle(order)
    found = self.open()
    for i in order:
      self.assertEqual(found[i], TEXTS[i])
    self.assertLen(found, len(TEXTS))
    self.assertLen(self.open(), len(TEXTS))

  @parameterized.parameters(*text_sources.WRITERS)
  def test_count_goes_no_further_than_asked(self, ending):
    text_sources.write(self.folder / f'a{ending}', TEXTS)
    found = self.open()
    for most in (0, 4, 2, 11, 12, 100):
      self.assertEqual(found.count(most), min(most, len(TEXTS)))

  @parameterized.parameters(
    ('.jsonl.gz', text_formats.gzip, 'GzipFile'),
    ('.parquet', text_formats.parquet, 'ParquetFile'),
    ('.array_record', grain.sources, 'ArrayRecordDataSource'),
  )
  def test_files_are_opened_once_to_read_them_in_order(
    self, ending, module, name
  ):
    for part in 'ab':
      text_sources.write(self.folder / f'{part}{ending}', TEXTS)
    opened = self.enter_context(
      mock.patch.object(module, name, wraps=getattr(module, name))
    )
    found = self.open()
    for i, text in enumerate(TEXTS * 2):
      self.assertEqual(found.count(i + 1), i + 1)
      self.assertEqual(found[i], text)
    self.assertEqual(opened.call_count, 2)

  def test_index_goes_on_over_files_of_all_formats(self):
    texts = []
    for i, ending in enumerate(text_sources.WRITERS):
      own = [f'file {i} {text}' for text in TEXTS[: i + 2]]
      text_sources.write(self.folder / f'part{i}{ending}', own)
      texts += own
    order = list(range(len(texts)))
    random.Random(0).shuffle(order)
    found = self.open('part*')
    self.assertEqual([found[i] for i in order], [texts[i] for i in order])
    self.assertLen(found, len(texts))
    # As a source of grain.
    dataset = grain.MapDataset.source(found)[3:]
    read = dataset.to_iter_dataset(grain.ReadOptions(num_threads=0))
    self.assertEqual(list(read), texts[3:])

  def test_files_behind_what_is_asked_for_are_not_opened(self):
    text_sources.write(self.folder / 'a.jsonl', TEXTS)
    (self.folder / 'b.parquet').write_bytes(b'no parquet file')
    found = self.open()
    self.assertEqual(found[10], TEXTS[10])
    self.assertEqual(found.count(11), 11)
    found.note(11)
    for _ in range(2):  # Nor is what was found lost by the failure.
      with self.assertRaisesRegex(errors.InputError, 'b.parquet cannot be'):
        found.count(12)
      self.assertEqual(found[2], TEXTS[2])

  def test_files_of_a_glob_are_in_order_and_others_as_named(self):
    for name in ('b2', 'b10', 'a'):
      text_sources.write(self.folder / f'{name}.txt', [name])
    found = self.open(f'b*.txt, {self.folder}/a.txt')
    self.assertEqual([found[i] for i in range(3)], ['b10', 'b2', 'a'])
    (self.folder / 'sub').mkdir()
    shutil.copy(self.folder / 'a.txt', self.folder / 'sub/c.txt')
    self.assertEqual(self.open('s?b/*.txt')[0], 'a')

  def test_last_line_without_an_end_and_lines_of_windows(self):
    (self.folder / 'a.txt').write_bytes(b'one\r\ntwo\n three ')
    found = self.open(field='')
    self.assertLen(found, 3)
    self.assertEqual([found[i] for i in range(3)], ['one', 'two', ' three '])

  def test_records_that_are_text(self):
    text_sources.WRITERS['.array_record'](self.folder / 'a.array_record', 'xy')
    self.assertEqual(self.open(field='')[1], '{"id": 1, "text": "y"}')

  def test_an_empty_file_has_no_documents(self):
    for name, texts in (('a', ['one']), ('b', []), ('c', ['two'])):
      text_sources.write(self.folder / f'{name}.jsonl', texts)
    self.assertEqual([self.open()[i] for i in range(2)], ['one', 'two'])

  def test_note_tells_other_documents_apart(self):
    for name in ('a', 'b', 'c'):
      text_sources.write(self.folder / f'{name}.jsonl', TEXTS)
    note = self.open().note(12)
    self.assertEqual([f['name'] for f in note['files']], ['a.jsonl', 'b.jsonl'])
    self.assertLen(self.open().note(11)['files'], 1)
    copy = pathlib.Path(self.create_tempdir().full_path) / 'copy'
    shutil.copytree(self.folder, copy)
    moved = text_files.TextFiles(f'{copy}/*', 'text')
    self.assertEqual(moved.note(12), note)
    self.assertNotEqual(text_files.TextFiles(f'{copy}/*', 'id').note(12), note)
    content = bytearray((copy / 'b.jsonl').read_bytes())
    content[-5] ^= 1
    (copy / 'b.jsonl').write_bytes(content)
    self.assertEqual(moved.note(11), self.open().note(11))
    self.assertNotEqual(moved.note(12), note)

  @parameterized.parameters(
    ('none*.jsonl', 'text', 'no file matches .*none'),
    ('', 'text', 'no file matches'),
    ('a.jsonl,', 'text', "no file matches '' of"),
    ('a.jsonl,{}/*.jsonl', 'text', 'a.jsonl is named twice'),
    ('a.csv', 'text', 'a.csv is of no known format: expected .* .jsonl, .json'),
    ('a.jsonl', '', 'a.jsonl needs a field'),
    ('**/a.jsonl', 'text', 'goes through all folders'),
  )
  def test_refuses_names(self, pattern, field, message):
    for name in ('a.jsonl', 'a.csv'):
      (self.folder / name).write_text('{"text": "one"}\n')
    pattern = pattern.format(self.folder)
    with self.assertRaisesRegex(errors.InputError, message):
      self.open(pattern, field)

  def test_array_record_elsewhere_is_refused(self):
    # As where there is what reads such names.
    with mock.patch.object(text_files.files.importlib.util, 'find_spec'):
      name = text_files.files.path('gs://bucket/a.array_record')
    with self.assertRaisesRegex(errors.InputError, 'a local copy'):
      text_formats.open_file(name, 'text')

  def test_document_beyond_the_last(self):
    text_sources.write(self.folder / 'a.txt', TEXTS)
    with self.assertRaisesRegex(errors.InputError, 'has 11 documents: .* 11$'):
      self.open()[11]


if __name__ == '__main__':
  absltest.main()
