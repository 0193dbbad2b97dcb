# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that a state goes on with other meshes and numbers of processes."""

import os
import pathlib

from absl.testing import absltest

from selfexplain_jax.training import checksums
from tests.distributed import restoring_worker
from tests.distributed import workers


class RestoringTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _run(self, devices, meshes, processes=1):
    """Runs a job; returns the steps that it restored."""
    port = workers.port()
    ended = workers.run(
      'restoring_worker',
      *(
        [
          *(str(self.folder), str(devices), meshes),
          *((str(process), port) if processes > 1 else ()),
        ]
        for process in range(processes)
      ),
    )
    found = []
    for one in ended:
      steps, sums = one.result
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
