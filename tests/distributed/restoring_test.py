# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that a state goes on with other meshes and numbers of processes."""

import json
import os
import pathlib
import socket
import subprocess
import sys

from absl.testing import absltest

from selfexplain_jax.training import checksums
from tests.distributed import restoring_worker


class RestoringTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _run(self, devices, meshes, processes=1):
    """Runs a job; returns the steps that it restored."""
    with socket.socket() as free:
      free.bind(('127.0.0.1', 0))
      port = str(free.getsockname()[1])
    workers = [
      subprocess.Popen(
        [
          *(sys.executable, '-m', 'tests.distributed.restoring_worker'),
          *(str(self.folder), str(devices), meshes),
          *((str(process), port) if processes > 1 else ()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
      )
      for process in range(processes)
    ]
    ended = [worker.communicate(timeout=120) for worker in workers]
    found = []
    for worker, (printed, said) in zip(workers, ended, strict=True):
      self.assertEqual(worker.returncode, 0, said[-3000:])
      steps, sums = json.loads(printed.rpartition('result ')[2])
      for step, each in zip(steps, sums, strict=True):
        # That of one device, in this process.
        alone = checksums.of(restoring_worker.state(step + 1))
        self.assertEqual(each, alone)
      found.append(steps)
    self.assertEqual(found, found[:1] * processes)
    return found[0]

  def test_other_meshes_and_processes(self):
    steps = self._run(8, '1x8x1,1x2x4,2x2x2,8x1x1')
    self.assertEqual(steps, [0, 1, 2, 3])
    self.assertEqual(self._run(4, '2x1x4,1x8x1', processes=2), [4, 5])
    self.assertEqual(self._run(1, '1x1x1'), [6])

  def test_what_one_process_cannot_read_all_pass_over(self):
    self.assertEqual(self._run(2, '1x4x1,1x4x1', processes=2), [0, 1])
    # What the devices of process 1 hold.
    for part in (self.folder / '2/state/ocdbt.process_1/d').iterdir():
      os.truncate(part, 8)
    self.assertEqual(self._run(2, '1x4x1', processes=2), [1])


if __name__ == '__main__':
  absltest.main()
