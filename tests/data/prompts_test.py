# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of prompts and their file."""

import dataclasses
import io

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import prompts

PROMPTS = prompts.Prompts(
  ids=[[1, 9, 8], [1, 7], [1, 6, 5, 4]],
  text=['nine eight', 'seven', 'ünlike five four'],
  positions={
    'first': np.array([1, 1, 1], np.int32),
    'last_token': np.array([2, 1, 3], np.int32),
  },
  kind=['a/0', 'b/0', 'a/1'],
  group=['x', 'y', 'x'],
  split=['train', 'test', 'train'],
  answer=np.array([3, -1, 2], np.int32),
  known=np.array([True, False, True]),
)


class PadTest(absltest.TestCase):
  def test_on_the_right_to_the_longest(self):
    tokens, lengths = PROMPTS.padded()
    self.assertEqual(
      tokens.tolist(), [[1, 9, 8, 0], [1, 7, 0, 0], [1, 6, 5, 4]]
    )
    self.assertEqual(lengths.tolist(), [3, 2, 4])
    self.assertEqual((tokens.dtype, lengths.dtype), (np.int32, np.int32))

  def test_to_a_length(self):
    tokens, lengths = prompts.pad([[5], [], [6, 7]], 3)
    self.assertEqual(tokens.tolist(), [[5, 0, 0], [0, 0, 0], [6, 7, 0]])
    self.assertEqual(lengths.tolist(), [1, 0, 2])

  def test_refuses_to_cut(self):
    with self.assertRaises(ValueError):
      prompts.pad([[1, 2, 3]], 2)


class FileTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = files.path(self.create_tempdir().full_path)
    self.file = self.folder / 'prompts.parquet'

  def test_comes_back(self):
    prompts.write(PROMPTS, self.folder)
    again = prompts.read(self.folder)
    self.assertLen(again, 3)
    for field in dataclasses.fields(PROMPTS):
      value, expected = (getattr(p, field.name) for p in (again, PROMPTS))
      if field.name == 'positions':
        self.assertEqual(list(value), list(expected))
      else:
        value, expected = {'': value}, {'': expected}
      for name in expected:
        if isinstance(expected[name], np.ndarray):
          self.assertEqual(value[name].dtype, expected[name].dtype, field.name)
          np.testing.assert_array_equal(value[name], expected[name])
        else:
          self.assertEqual(value[name], expected[name], field.name)

  def test_equal_prompts_give_equal_bytes(self):
    prompts.write(PROMPTS, self.folder)
    first = self.file.read_bytes()
    prompts.write(prompts.read(self.folder), self.folder)
    self.assertEqual(self.file.read_bytes(), first)

  def test_refuses_a_folder_without(self):
    with self.assertRaisesRegex(errors.InputError, 'no prompts: expected'):
      prompts.read(self.folder)

  def test_refuses_a_damaged_file(self):
    prompts.write(PROMPTS, self.folder)
    files.write_bytes(self.file, self.file.read_bytes()[:-7])
    with self.assertRaisesRegex(errors.InputError, 'is damaged'):
      prompts.read(self.folder)

  @parameterized.parameters(
    'ids', 'text', 'kind', 'group', 'split', 'answer', 'known'
  )
  def test_refuses_a_file_without_a_column(self, name):
    prompts.write(PROMPTS, self.folder)
    table = parquet.read_table(io.BytesIO(self.file.read_bytes()))
    content = io.BytesIO()
    parquet.write_table(table.drop_columns([name]), content)
    files.write_bytes(self.file, content.getvalue())
    with self.assertRaisesRegex(errors.InputError, f'is damaged.*{name}'):
      prompts.read(self.folder)


if __name__ == '__main__':
  absltest.main()
