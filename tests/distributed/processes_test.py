# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of binaries as jobs of two real processes, of two devices each."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from absl.testing import absltest
import numpy as np
from safetensors import numpy as safetensors_numpy

from tests.distributed import workers

# Enough to be far from the end when processes have agreed where to stop, which
# takes seconds.
_STEPS = 40
_ROOT = pathlib.Path(__file__).parents[2]


class Job:
  """A binary in two processes."""

  def __init__(self, binary, workdir, *arguments, own=((), ())):
    port = workers.port()
    self.processes = [
      subprocess.Popen(
        [
          *(
            sys.executable,
            '-m',
            f'launch.{binary}',
            *arguments,
            *own[process],
          ),
          *(f'--workdir={workdir}', '--processes=2', '--host_timeout=20'),
          *(f'--process={process}', f'--coordinator=127.0.0.1:{port}'),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '2'},
      )
      for process in range(2)
    ]

  def end(self):
    """Waits for both; returns their exit codes and what they said."""
    said = [one.communicate(timeout=300)[1] for one in self.processes]
    return [one.returncode for one in self.processes], said


def _pretrain(*more):
  sizes = {
    **dict(steps=_STEPS, batch=4, row_length=32, checkpoint_every=4),
    **{'world.people': 60, 'model.width': 32, 'model.layers': 2},
    **{'model.heads': 2, 'model.kv_heads': 2, 'model.head_width': 16},
    **{'model.mlp_width': 48, 'mesh.data': 2, 'mesh.fsdp': 2},
  }
  return [
    '--config=experiments/world/pretrain.py:target',
    *(f'--config.{name}={value}' for name, value in sizes.items()),
    *more,
  ]


def _weights(workdir):
  return (workdir / 'model/model.safetensors').read_bytes()


class ProcessesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def test_training_is_that_of_one_process_and_resumes(self):
    straight = self.folder / 'straight'
    codes, said = Job('pretrain_target', straight, *_pretrain()).end()
    self.assertEqual(codes, [0, 0], said)
    self.assertIn('Process 0 of 2, 2 of 4 devices', said[0])
    self.assertNotIn('step: ', said[1])  # Process 0 speaks for both.

    alone = self.folder / 'alone'
    self._alone(alone)
    expected = safetensors_numpy.load(_weights(alone))
    self._close(straight, expected)

    # SIGTERM of one makes both save and leave at the same step; SIGKILL of one
    # ends the other; and the same command ends with the same bytes.
    workdir = self.folder / 'disturbed'
    job = Job('pretrain_target', workdir, *_pretrain())
    self._wait_for(workdir, job)
    job.processes[1].send_signal(signal.SIGTERM)
    codes, said = job.end()
    self.assertEqual(codes, [75, 75], said)
    elsewhere = self.folder / 'elsewhere'
    shutil.copytree(workdir, elsewhere)
    self.assertIn('going on from step', self._alone(elsewhere))
    self._close(elsewhere, expected)
    job = Job('pretrain_target', workdir, *_pretrain())
    time.sleep(6)
    job.processes[0].send_signal(signal.SIGKILL)
    codes, _ = job.end()
    self.assertEqual(codes[0], -signal.SIGKILL)
    codes, said = Job('pretrain_target', workdir, *_pretrain()).end()
    self.assertEqual(codes, [0, 0], said)
    self.assertEqual(_weights(workdir), _weights(straight))

  def _alone(self, workdir):
    """Trains in one process on one device; returns what it says."""
    command = [sys.executable, '-m', 'launch.pretrain_target']
    command += [*_pretrain('--config.mesh.data=1', '--config.mesh.fsdp=1')]
    ended = subprocess.run(
      [*command, f'--workdir={workdir}'],
      check=False,
      capture_output=True,
      text=True,
      cwd=_ROOT,
      env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '1'},
    )
    self.assertEqual(ended.returncode, 0, ended.stderr)
    return ended.stderr

  def _close(self, workdir, expected):
    found = safetensors_numpy.load(_weights(workdir))
    for name, value in expected.items():
      np.testing.assert_allclose(found[name], value, 1e-3, 1e-4, err_msg=name)

  def _wait_for(self, workdir, job):
    """Waits until there is a checkpoint."""
    while not (workdir / 'checkpoints' / '4').exists():
      for one in job.processes:
        self.assertIsNone(one.poll(), 'it ended before it saved')
      time.sleep(0.01)

  def test_all_are_started_with_the_same_command(self):
    codes, said = Job(
      'pretrain_target',
      self.folder / 'other',
      *_pretrain(),
      own=((), ('--config.optimizer.peak_rate=0.5',)),
    ).end()
    self.assertEqual(codes, [2, 2], said)
    for text in said:
      line = [x for x in text.splitlines() if x.startswith('error: ')]
      self.assertLen(line, 1, text)
      self.assertIn('config.optimizer.peak_rate=', line[0])
      self.assertIn('expected the same command on all', line[0])
    self.assertFalse((self.folder / 'other').exists())


if __name__ == '__main__':
  absltest.main()
