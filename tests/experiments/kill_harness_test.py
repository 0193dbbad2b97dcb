# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the command line of the kill harness."""

import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).parents[2]


class KillHarnessTest(parameterized.TestCase):
  @parameterized.parameters(
    (['--workdir=/nowhere', '--nope=1'], "'nope'"),
    (['--workdir=/nowhere', '--kills=0'], '--kills=0'),
    ([], '--workdir'),
    (['--workdir=/nowhere', 'stray'], "'stray'"),
    ([f'--workdir={_ROOT}'], 'not empty: expected a new folder'),
  )
  def test_bad_command_line(self, arguments, said):
    ended = subprocess.run(
      [sys.executable, '-m', 'experiments.kill_harness', *arguments],
      capture_output=True,
      text=True,
      cwd=_ROOT,
    )
    self.assertEqual(ended.returncode, 2, ended)
    self.assertLen(ended.stderr.splitlines(), 1)
    self.assertStartsWith(ended.stderr, 'error: ')
    self.assertIn(said, ended.stderr)


if __name__ == '__main__':
  absltest.main()
