# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of writing files."""

import os
import pathlib
import socket
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax import files


class WritingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def test_names_of_other_storage_are_refused(self):
    with self.assertRaisesRegex(errors.InputError, 's3://a/b is of no known'):
      files.path('s3://a/b')
    with (
      mock.patch.object(files.importlib.util, 'find_spec', lambda _: None),
      self.assertRaisesRegex(errors.InputError, 'gs://a/b .* gcsfs is not'),
    ):
      files.path('gs://a/b')

  def test_an_error_leaves_the_old_file(self):
    name = self.folder / 'more' / 'a.txt'
    files.write_text(name, 'old')
    with self.assertRaisesRegex(ValueError, 'stop'):
      with files.writing(name) as out:
        out.write(b'new')
        raise ValueError('stop')
    self.assertEqual(name.read_text(), 'old')
    self.assertEqual(os.listdir(name.parent), ['a.txt'])

  def test_what_the_killed_left_goes_and_what_others_write_stays(self):
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    host = socket.gethostname()
    dead = self.folder / f'.a.txt.partial-{ended.pid}-7-{host}'
    alive = self.folder / f'.a.txt.partial-{os.getpid()}-7-{host}'
    # Names of machines have hyphens, and may begin or end with that of another.
    others = [
      self.folder / f'.a.txt.partial-{ended.pid}-7-{name}'
      for name in ('other', f'{host}-2', f'a-{host}', f'8-{host}')
    ]
    another = self.folder / f'.b.txt.partial-{ended.pid}-7-{host}'
    for name in (dead, alive, *others, another):
      name.write_text('half')
    files.write_text(self.folder / 'a.txt', 'whole')
    self.assertFalse(dead.exists())
    for name in (alive, *others, another):
      self.assertTrue(name.exists(), name)


if __name__ == '__main__':
  absltest.main()
