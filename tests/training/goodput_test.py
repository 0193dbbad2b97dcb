# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of where time goes, by a clock that is set."""

from absl.testing import absltest

from selfexplain_jax.training import goodput as goodput_lib


class _Clock:
  def __init__(self, now):
    self.now = now

  def __call__(self):
    return self.now


class GoodputTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def test_phases_add_up_to_the_time(self):
    clock = _Clock(100.0)
    goodput = goodput_lib.Goodput(self.folder, clock)
    clock.now += 5  # Starting up.
    goodput.begin(0)
    with goodput.phase('compiling'):
      clock.now += 7
    for _ in range(3):
      with goodput.phase('input_wait'):
        clock.now += 1
      clock.now += 10
    with goodput.phase('evaluation'):
      clock.now += 3
      with goodput.phase('checkpoint_wait'):
        clock.now += 2
    self.assertEqual(goodput.seconds('steps'), 30)
    goodput.note(3)
    found = goodput.summary()
    self.assertEqual(
      found.phases,
      dict(
        start_up=5,
        compiling=7,
        input_wait=3,
        steps=30,
        evaluation=3,
        checkpoint_wait=2,
      ),
    )
    self.assertEqual(found.wall, 50)
    self.assertEqual(found.goodput, 0.6)
    self.assertEqual(goodput_lib.read(self.folder), found)

  def test_what_a_kill_costs(self):
    clock = _Clock(0.0)
    first = goodput_lib.Goodput(self.folder, clock)
    first.begin(0)
    clock.now += 40
    first.note(8)  # The last checkpoint is of step 6.
    clock.now += 100  # Killed, and started again.
    second = goodput_lib.Goodput(self.folder, clock)
    second.begin(6)
    clock.now += 20
    second.note(10)
    found = second.summary()
    self.assertEqual(found.starts, 2)
    self.assertEqual(found.down, 100)
    self.assertEqual(found.lost, 10)  # 2 of 8 steps.
    self.assertEqual(found.phases['steps'], 50)
    self.assertEqual(found.wall, 160)
    total = sum(found.phases.values()) + found.lost + found.down
    self.assertEqual(total, found.wall)
    self.assertIn('2 starts', str(found))


if __name__ == '__main__':
  absltest.main()
