# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of being asked to leave."""

import os
import signal
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax.distributed import preemption
from tests.distributed import workers

_TWICE = """
import os, signal, time
from selfexplain_jax.distributed import preemption
preemption.listen()
os.kill(os.getpid(), signal.SIGINT)
print(preemption.asked(), flush=True)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(9)
print('still here')
"""


class PreemptionTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    for name in (signal.SIGINT, signal.SIGTERM):
      self.addCleanup(signal.signal, name, signal.getsignal(name))
    self.addCleanup(setattr, preemption, '_asked', False)

  @parameterized.parameters(signal.SIGINT, signal.SIGTERM)
  def test_a_signal_asks(self, name):
    preemption.listen()
    self.assertFalse(preemption.asked())
    preemption.check()
    os.kill(os.getpid(), name)
    self.assertTrue(preemption.asked())
    with self.assertRaises(preemption.Preempted):
      preemption.check()

  def test_the_job_asks_itself(self):
    preemption.ask()
    with self.assertRaises(preemption.Preempted):
      preemption.check()

  @parameterized.parameters(('before', 0, 1), ('between', 4, 30))
  def test_all_leave_at_one_call_if_one_is_told(self, when, first, last):
    address = f'127.0.0.1:{workers.port()}'
    ended = workers.run(
      'leaving_worker', *([address, str(i), when] for i in range(2))
    )
    told = [one.result for one in ended]
    self.assertEqual(told[0], told[1])
    self.assertIsNotNone(told[0])
    self.assertBetween(told[0], first, last)

  def test_a_second_interrupt_ends_the_job(self):
    ended = subprocess.run(
      [sys.executable, '-c', _TWICE], capture_output=True, text=True, timeout=60
    )
    self.assertEqual(ended.returncode, -signal.SIGINT, ended)
    self.assertEqual(ended.stdout, 'True\n')
    self.assertIn('Ctrl-C again to leave now', ended.stderr)


if __name__ == '__main__':
  absltest.main()
