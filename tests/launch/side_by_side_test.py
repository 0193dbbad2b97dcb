# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of stages that run side by side."""

import time

from absl.testing import absltest

from launch import flow
from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption


class SideBySideTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.addCleanup(setattr, preemption, '_asked', False)

  def left_when_asked(self):
    for _ in range(1000):
      preemption.check()
      time.sleep(0.01)
    self.fail('it was not asked to leave')

  def test_a_failure_asks_the_other_to_leave_and_is_raised(self):
    def fail():
      raise errors.InputError('this one')

    for work in (
      (fail, self.left_when_asked),
      (self.left_when_asked, fail),
    ):
      preemption._asked = False
      with self.assertRaisesRegex(errors.InputError, 'this one'):
        flow.side_by_side(*work)

  def test_both_leave_when_asked(self):
    preemption.ask()
    with self.assertRaises(preemption.Preempted):
      flow.side_by_side(self.left_when_asked, self.left_when_asked)

  def test_nobody_is_asked_where_nothing_fails(self):
    done = []
    flow.side_by_side(lambda: done.append(1), lambda: done.append(2))
    self.assertCountEqual(done, [1, 2])
    self.assertFalse(preemption.asked())


if __name__ == '__main__':
  absltest.main()
