# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of locks between processes."""

import errno
import fcntl
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption
from selfexplain_jax.studies import locks

_HOLD = """
import sys, time
from selfexplain_jax.studies import locks
with locks.hold(sys.argv[1], 'run'):
  print('held', flush=True)
  time.sleep(60)
"""


class LocksTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.addCleanup(setattr, preemption, '_asked', False)
    self.workdir = self.create_tempdir().full_path

  def holder(self) -> subprocess.Popen:
    """Another process, which holds the lock `run` and does not let go."""
    command = [sys.executable, '-c', _HOLD, self.workdir]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    self.addCleanup(process.wait)
    self.addCleanup(process.kill)
    assert process.stdout is not None
    self.addCleanup(process.stdout.close)
    self.assertEqual(process.stdout.readline(), b'held\n')
    return process

  def test_held_until_the_other_process_dies(self):
    other = self.holder()
    with locks.hold(self.workdir, 'run', wait=False) as held:
      self.assertFalse(held)
    with locks.hold(self.workdir, 'another', wait=False) as held:
      self.assertTrue(held)
    other.send_signal(signal.SIGKILL)
    with locks.hold(self.workdir, 'run') as held:
      self.assertTrue(held)

  def test_let_go_at_the_end(self):
    for _ in range(2):
      with self.assertRaises(KeyError):
        with locks.hold(self.workdir, 'run', wait=False) as held:
          self.assertTrue(held)
          raise KeyError

  def test_asked_to_leave_while_waiting(self):
    self.holder()
    preemption.ask()
    with self.assertRaises(preemption.Preempted):
      with locks.hold(self.workdir, 'run'):
        pass

  def test_a_file_system_without_locks(self):
    for error in (OSError(errno.ENOSYS, 'not implemented'), PermissionError()):
      with mock.patch.object(fcntl, 'flock', side_effect=error):
        with self.assertRaisesRegex(errors.InputError, 'run cannot be locked'):
          with locks.hold(self.workdir, 'run'):
            pass

  def test_object_stores_have_none(self):
    place = 'gs://bucket/folder'
    with locks.hold(place, 'run') as one, locks.hold(place, 'run') as other:
      self.assertTrue(one and other)
    self.assertFalse(pathlib.Path('gs:').exists())


if __name__ == '__main__':
  absltest.main()
