# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of processes that work together: real ones, of two devices each."""

import json
import os

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.distributed import hosts
from tests.distributed import workers
from tests.launch import binaries


class HostsTest(absltest.TestCase):
  def test_two_processes(self):
    folder = self.create_tempdir().full_path
    address = f'127.0.0.1:{workers.port()}'
    ended = workers.run(
      'hosts_worker', *([address, '2', str(i), folder] for i in range(2))
    )
    found = [one.result for one in ended]
    for process, said in enumerate(found):
      self.assertEqual(said['count'], 2)
      self.assertEqual(said['lead'], process == 0)
      self.assertEqual(said['agreed'], {'from': 0})
      self.assertEqual(said['gathered'], [0, 10])
      self.assertEqual(said['made'], [0])
      self.assertEqual(said['slowly'], 'at last')
      self.assertEqual(said['refused'], 'found by 0')
      self.assertEqual(
        said['files'], ['own_0.json', 'own_1.json', 'shared.json']
      )
      # Rows are in order whoever read them, and each is read by its own.
      self.assertEqual(said['split'], [[*range(8, 16)], [*range(16, 24)]])
      own = [[8, 9, 10, 11], [12, 13, 14, 15]][process]
      self.assertEqual(said['split_read'], [*own, *(n + 8 for n in own)])
      self.assertEqual(said['odd'], [[*range(5, 10)], [*range(10, 15)]])
      self.assertEqual(said['odd_read'], [*range(5, 15)])
      self.assertEqual(said['compiled_again'], 0)
    with open(os.path.join(folder, 'shared.json')) as shared:
      self.assertEqual(json.load(shared), 0)
    self.assertEqual(
      found[0]['missing'],
      'of 2 processes not all came to the end of the test within 5 s: missing '
      '1, see their logs',
    )

  def test_one_process_has_no_others(self):
    self.assertEqual(hosts.count(), 1)
    self.assertTrue(hosts.is_lead())
    self.assertEqual(hosts.agree('a'), 'a')
    self.assertEqual(hosts.gather('a'), ['a'])
    hosts.barrier('nothing')

  def test_an_address_needs_a_number(self):
    with self.assertRaisesRegex(errors.InputError, '--coordinator and --proc'):
      hosts.initialize(2, 'localhost:1')
    with self.assertRaisesRegex(
      errors.InputError, '--process=2: expected 0 to'
    ):
      hosts.initialize(2, 'localhost:1', 2)

  def test_a_platform_that_tells_nothing(self):
    folder = self.create_tempdir().full_path
    (ended,) = binaries.run(
      ['launch.pretrain_target', '--processes=2', f'--workdir={folder}']
    )
    self.assertEqual(ended.code, 2, ended.stderr)
    self.assertIn(
      'error: --processes=2, and the platform does not tell which they are: '
      'expected --coordinator=HOST:PORT and --process',
      ended.stderr.splitlines()[-1],
    )


if __name__ == '__main__':
  absltest.main()
