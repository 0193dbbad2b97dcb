# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of killing, on jobs of a few lines."""

import json
import pathlib
import signal
import sys

from absl.testing import absltest
import numpy as np

from experiments.kills import killing

# Counts to 30 with a file for each; a careless one begins to write its result
# before it is done, and takes what is there for whole.
_JOB = """
import os, pathlib, sys, time
careless = sys.argv[1] == 'careless'
workdir = pathlib.Path(sys.argv[2].partition('=')[2])
result = workdir / 'result.txt'
if careless and result.exists():
  sys.exit(0)
for step in range(30):
  part = workdir / f'checkpoints/{step}'
  if careless:
    with result.open('a') as out:
      out.write(f'{step}\\n')
  elif not part.exists():
    part.parent.mkdir(exist_ok=True)
    aside = part.parent / f'.{step}.partial-{os.getpid()}'
    aside.write_text(str(step))
    time.sleep(0.02)
    aside.replace(part)
  time.sleep(0.02)
result.write_text(''.join(f'{n}\\n' for n in range(30)))
"""


class KillingTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _job(self, kind):
    return killing.Job([sys.executable, '-c', _JOB, kind], 1, {})

  def _ends_with(self, kind, in_save=False):
    """Kills until it ends; returns the kills, and what differs."""
    job, random = self._job(kind), np.random.default_rng(0)
    job.undisturbed(self.folder / f'{kind}_undisturbed')
    kills = []
    while not kills or not kills[-1].finished:
      how = signal.SIGKILL if len(kills) < 4 else signal.SIGTERM
      after = 0.4 if len(kills) < 6 else 60.0
      kills.append(job.kill(self.folder / kind, after, how, in_save, random))
    expected = killing.digests(self.folder / f'{kind}_undisturbed')
    self.assertEqual(list(expected), ['result.txt'])
    found = killing.digests(self.folder / kind)
    return kills, killing.differences(expected, found)

  def test_what_resumes_shows_nothing(self):
    kills, different = self._ends_with('careful')
    self.assertEqual(different, [])
    self.assertGreater(len(kills), 1)
    self.assertEqual(kills[0].signal, 'SIGKILL')
    self.assertEqual(kills[0].codes, (-signal.SIGKILL,))
    self.assertEqual(kills[-1].codes, (0,))
    self.assertEqual(kills[-1].signal, '')

  def test_kills_within_a_save(self):
    kills, different = self._ends_with('careful', in_save=True)
    self.assertEqual(different, [])
    self.assertTrue(any(kill.in_save for kill in kills))

  def test_what_takes_a_part_for_the_whole_is_found(self):
    _, different = self._ends_with('careless')
    self.assertEqual(different, ['result.txt'])

  def test_folders_of_runs_are_no_difference(self):
    for name in ('a', 'b'):
      folder = self.folder / name
      (folder / 'events').mkdir(parents=True)
      (folder / 'events' / 'e').write_text(name)
      (folder / 'config.json').write_text(json.dumps({'at': str(folder)}))
    a, b = (killing.digests(self.folder / name) for name in ('a', 'b'))
    self.assertEqual(killing.differences(a, b), [])
    (self.folder / 'b' / 'more').write_text('')
    b = killing.digests(self.folder / 'b')
    self.assertEqual(killing.differences(a, b), ['more'])


if __name__ == '__main__':
  absltest.main()
