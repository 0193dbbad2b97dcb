# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the launchers, with commands of the cloud that only take notes."""

import os
import pathlib
import subprocess

from absl.testing import absltest
from absl.testing import parameterized

_PODS = pathlib.Path(__file__).parents[2] / 'launch' / 'pods'
_BINARY = ['--', 'flow', '--workdir=gs://b/run', '--config=a b.py']
_COMMON = ['--name=n', '--zone=z']
_ARGUMENTS = {
  'tpu_vm': [*_COMMON, '--accelerator=v5litepod-256'],
  'queued': [*_COMMON, '--accelerator=v6e-64', '--bucket=gs://b/f'],
  'gke': [*_COMMON, '--cluster=c', '--tpu_type=v5p-128'],
  'slurm': ['--name=n', '--nodes=2', '--gpus=8'],
}

# Notes how it was called, and answers as files beside it say, by a word of it.
_FAKE = """#!/bin/bash
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/calls"
for file in "$here"/answers/*; do
  word=$(basename "$file")
  if [[ " $* " == *"$word"* ]]; then
    cat "$file"
    [[ -e $here/once/$word ]] && rm "$file" "$here/once/$word"
    exit $(cat "$here/codes/$word" 2>/dev/null || echo 0)
  fi
done
exit 0
"""


class PodsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.here = pathlib.Path(self.create_tempdir().full_path)
    for name in ('answers', 'codes', 'once'):
      (self.here / name).mkdir()
    for name in ('gcloud', 'xpk', 'sbatch', 'squeue', 'sleep'):
      (self.here / name).write_text(_FAKE)
      (self.here / name).chmod(0o755)

  def _answer(self, word, text='', code=0, once=False):
    (self.here / 'answers' / word).write_text(text)
    (self.here / 'codes' / word).write_text(str(code))
    if once:
      (self.here / 'once' / word).write_text('')

  def _run(self, launcher, *arguments):
    ended = subprocess.run(
      [_PODS / f'{launcher}.sh', *arguments],
      check=False,
      capture_output=True,
      text=True,
      env={**os.environ, 'PATH': f'{self.here}:{os.environ["PATH"]}'},
    )
    calls = self.here / 'calls'
    made = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return ended, made

  @parameterized.parameters(*_ARGUMENTS)
  def test_a_dry_run_calls_nothing_and_prints_it_all(self, launcher):
    ended, calls = self._run(
      launcher, *_ARGUMENTS[launcher], '--dry_run', *_BINARY
    )
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertEqual(calls, [])
    hosts = {'tpu_vm': 64, 'queued': 16, 'gke': 16, 'slurm': 2}[launcher]
    self.assertIn('launch.flow', ended.stdout)
    self.assertIn(f'--processes={hosts}', ended.stdout)
    # A space within an argument stays there.
    self.assertRegex(ended.stdout, r'--config=a\\+ b\.py')

  def test_a_tpu_is_made_and_used_again(self):
    self._answer('describe', '')
    ended, calls = self._run('tpu_vm', *_ARGUMENTS['tpu_vm'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    made = ' '.join(calls)
    self.assertIn('tpu-vm create n --zone=z --accelerator-type=v5lite', made)
    self.assertRegex(made, r'scp \S+/code.tgz n:code.tgz')
    self.assertIn('uv venv -q --clear --python 3.12 venv', made)
    # What may still run there leaves before its code is replaced.
    self.assertLess(made.index('pkill'), made.index(' scp '))
    self.assertIn('--worker=all', made)
    self._answer('describe', 'READY')
    ended, calls = self._run('tpu_vm', *_ARGUMENTS['tpu_vm'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertNotIn(' create ', ' '.join(calls))

  def test_a_tpu_that_is_taken_away_is_made_again(self):
    self._answer('describe', 'PREEMPTED')
    self._answer('launch.flow', '', code=255, once=True)
    ended, calls = self._run('tpu_vm', *_ARGUMENTS['tpu_vm'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn('taken away: again', ended.stderr)
    made = ' '.join(calls)
    self.assertEqual(made.count(' delete n '), 2)
    self.assertEqual(made.count('tpu-vm create n'), 2)
    self.assertEqual(sum('launch.flow' in call for call in calls), 2)

  @parameterized.parameters((75, 2, 0), (2, 1, 2), (1, 1, 1))
  def test_how_a_binary_ends(self, code, runs, expected):
    self._answer('describe', 'READY')
    self._answer('launch.flow', '', code=code, once=code == 75)
    ended, calls = self._run('tpu_vm', *_ARGUMENTS['tpu_vm'], *_BINARY)
    self.assertEqual(ended.returncode, expected, ended.stderr)
    self.assertEqual(sum('launch.flow' in call for call in calls), runs)

  def test_what_is_queued_stays(self):
    self._answer('describe', '', code=1)
    ended, calls = self._run(
      'queued', *_ARGUMENTS['queued'], '--num_slices=2', '--spot', *_BINARY
    )
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn(
      'queued-resources create n --zone=z --accelerator-type=v6e-64 '
      '--node-count=2 --node-prefix=n --spot',
      calls[-1],
    )
    self._answer('describe', 'ACTIVE')
    ended, calls = self._run('queued', *_ARGUMENTS['queued'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn('queued already', ended.stderr)
    self.assertLen(calls, 1)

  def test_a_workload_has_restarts_and_stays(self):
    ended, calls = self._run('gke', *_ARGUMENTS['gke'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn('--max-restarts=100', calls[-1])
    for listed in ('n  Running', 'a  1\n0  n  2024  Running\n1 b'):
      self._answer('list', listed)
      ended, calls = self._run('gke', *_ARGUMENTS['gke'], *_BINARY)
      self.assertIn('there already', ended.stderr)
      self.assertLen(calls, 1)
    self._answer('list', 'n-2  Running\nan  Running\n0 n.b n-1')
    ended, calls = self._run('gke', *_ARGUMENTS['gke'], *_BINARY)
    self.assertIn('workload create --workload=n ', calls[-1])

  @parameterized.parameters(
    ('gke', 'tpu_type', 'v5litepod-8', 2),
    ('gke', 'tpu_type', 'v6e-4', 1),
    ('tpu_vm', 'accelerator', 'v5litepod-8', 1),
    ('tpu_vm', 'accelerator', 'v6e-16', 4),
    ('queued', 'accelerator', 'v5p-8', 1),
  )
  def test_hosts_of_small_slices(self, launcher, flag, kind, hosts):
    arguments = [f'--{flag}={kind}', '--dry_run', *_BINARY]
    ended, _ = self._run(launcher, *_ARGUMENTS[launcher], *arguments)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn(f'--processes={hosts}', ended.stdout)

  def test_a_job_of_slurm_is_queued_once(self):
    ended, calls = self._run('slurm', *_ARGUMENTS['slurm'], *_BINARY)
    self.assertEqual(ended.returncode, 0, ended.stderr)
    self.assertIn('--requeue', calls[-1])
    self.assertIn('--signal=B:TERM@120', calls[-1])
    dry, _ = self._run('slurm', *_ARGUMENTS['slurm'], '--dry_run', *_BINARY)
    self.assertIn('export JAX_LOCAL_DEVICE_IDS=0,1,2,3,4,5,6,7\n', dry.stdout)
    self._answer('--me', '17')
    ended, calls = self._run('slurm', *_ARGUMENTS['slurm'], *_BINARY)
    self.assertIn('waits or runs already', ended.stderr)
    self.assertLen(calls, 1)

  @parameterized.parameters(
    ('tpu_vm', ['--nope'], 'no flag --nope'),
    ('tpu_vm', ['--zone=z'], '--name is missing'),
    ('tpu_vm', [*_COMMON, '--accelerator=v9-8', *_BINARY], 'v5litepod-N'),
    ('tpu_vm', [*_ARGUMENTS['tpu_vm']], 'no binary: expected'),
    ('tpu_vm', [*_ARGUMENTS['tpu_vm'], '--', 'x'], 'no binary x'),
    ('gke', [*_ARGUMENTS['gke'], '--', 'flow', '--workdir=/a'], 'gs://'),
    ('queued', [*_COMMON, '--accelerator=v6e-8', '--bucket=/b'], 'no binary'),
    ('gke', [*_ARGUMENTS['gke'], '--restarts=0', *_BINARY], '--restarts=0'),
    ('slurm', ['--name=n', '--nodes=0', '--gpus=1'], '--nodes=0'),
    ('slurm', ['stray'], "unexpected argument 'stray'"),
  )
  def test_refuses(self, launcher, arguments, expected):
    ended, calls = self._run(launcher, *arguments)
    self.assertEqual(ended.returncode, 2, ended)
    self.assertLen(ended.stderr.splitlines(), 1)
    self.assertStartsWith(ended.stderr, 'error: ')
    self.assertIn(expected, ended.stderr)
    self.assertEqual(calls, [])


if __name__ == '__main__':
  absltest.main()
