# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of checkpoints: written aside, damaged, interrupted."""

import contextlib
import functools
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

from absl.testing import absltest
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.training import checkpoints

# Trains without end, saving each state; the parent kills it.
_WRITER = """
import sys
import jax, jax.numpy as jnp
from tests.training import checkpoints_test
from selfexplain_jax.training import checkpoints
made = checkpoints.Checkpoints(sys.argv[1])
found = made.restore(checkpoints_test.state(0))
step, tree = (0, checkpoints_test.state(0)) if found is None else found[:2]
for step in range(step + 1, 1000):
  tree = checkpoints_test.advance(tree)
  made.save(step, tree, {'seen': step})
  print(step, flush=True)
"""


def state(step):
  """The state after some steps; known in advance."""
  return {
    'weights': jnp.full((64, 1024), step, jnp.float32),
    'small': {'counts': jnp.arange(5, dtype=jnp.int32) + step},
  }


@functools.partial(jax.jit, donate_argnums=0)
def advance(tree):
  """One step."""
  return jax.tree.map(lambda x: x + jnp.ones((), x.dtype), tree)


@contextlib.contextmanager
def _opened(folder, keep=2, base=''):
  with contextlib.closing(
    checkpoints.Checkpoints(folder, keep, base=base)
  ) as made:
    yield made


def _equal(test, found, step):
  test.assertEqual(found[0], step)
  test.assertEqual(found[2], {'seen': step})
  jax.tree.map(np.testing.assert_array_equal, found[1], state(step))


class CheckpointsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _save(self, steps, keep=2):
    with _opened(self.folder, keep) as made:
      for step in steps:
        made.save(step, state(step), {'seen': step})

  def _flip(self, step):
    """Flips a bit of the largest file of a checkpoint."""
    held = [p for p in (self.folder / str(step)).rglob('*') if p.is_file()]
    largest = max(held, key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 4
    largest.write_bytes(content)

  def test_the_latest_is_restored_and_old_ones_go(self):
    with _opened(self.folder) as made:
      self.assertIsNone(made.restore(state(0)))
    self._save((1, 2, 3))
    with _opened(self.folder) as made:
      _equal(self, made.restore(state(0)), 3)
    self.assertFalse((self.folder / '1').exists())

  def test_the_checksum_that_is_logged_is_that_of_what_is_restored(self):
    with self.assertLogs(level='INFO') as log:
      self._save((1,))
      with _opened(self.folder) as made:
        made.restore(state(0))
    lines = [x for x in log.output if 'Checkpoint 1 ' in x]
    self.assertLen(lines, 2)
    self.assertLen({line.rpartition(' ')[2] for line in lines}, 1)

  def test_what_is_saved_is_what_was_there_though_steps_go_on(self):
    tree = {'a': jnp.zeros((2048, 1024), jnp.float32)}
    with _opened(self.folder, keep=5) as made:
      for step in range(1, 6):
        tree = advance(tree)
        made.save(step, tree, {})
        for _ in range(3):  # Donates the memory of what is being saved.
          tree = advance(tree)
      made.wait()
      self.assertGreater(made.waited, 0)
    for step in range(1, 6):
      with _opened(self.folder, keep=9) as made:
        found = made._load(step, {'a': jnp.zeros((2048, 1024))})[0]['state']
        self.assertEqual(float(found['a'].max()), 4 * step - 3)
        self.assertEqual(float(found['a'].min()), 4 * step - 3)

  def test_a_flipped_bit_is_passed_over(self):
    self._save((1, 2))
    self._flip(2)
    with _opened(self.folder) as made, self.assertLogs(level='WARNING') as log:
      _equal(self, made.restore(state(0)), 1)
      self.assertIn('Passing over checkpoint 2', log.output[0])
      made.save(2, state(2), {'seen': 2})  # Written again.
    with _opened(self.folder) as made:
      _equal(self, made.restore(state(0)), 2)

  def test_what_is_out_of_reach_for_a_while_is_read_once_more(self):
    self._save((1, 2))
    with _opened(self.folder) as made:
      made._attempts = 2  # As of a bucket.
      load, failed = made._checkpointer.load_checkpointables, []

      def fail_once(step, content):
        if not failed:
          failed.append(step)
          raise ConnectionError('reset by peer')
        return load(step, content)

      with (
        mock.patch.object(
          made._checkpointer, 'load_checkpointables', fail_once
        ),
        mock.patch.object(checkpoints, '_PAUSE_SECONDS', 0),
      ):
        _equal(self, made.restore(state(0)), 2)
      self.assertEqual(failed, [2])

  def test_steps_before_one_that_was_passed_over_are_saved_too(self):
    self._save((2, 4))
    self._flip(4)
    with _opened(self.folder) as made:
      _equal(self, made.restore(state(0)), 2)
      made.save(3, state(3), {'seen': 3})  # As when it is asked to leave.
    with _opened(self.folder) as made:
      _equal(self, made.restore(state(0)), 3)
      made.save(4, state(4), {'seen': 4})
    with _opened(self.folder) as made:
      _equal(self, made.restore(state(0)), 4)

  def test_an_adapter_goes_on_with_its_base_alone(self):
    for base, expected in (
      ('', 'whole weights'),
      ('b' * 64, 'of weights b{12}…'),
    ):
      with _opened(self.folder, base='a' * 64) as made:
        made.save(1, state(1), {'seen': 1})
        made.wait()
        _equal(self, made.restore(state(0)), 1)
      with _opened(self.folder, base=base) as made:
        with self.assertRaisesRegex(
          errors.InputError, f'an adapter of weights a{{12}}….*{expected}'
        ):
          made.restore(state(0))

  def test_what_saves_leave_alive_does_not_grow(self):
    tree, alive, threads = state(0), [], []
    with _opened(self.folder) as made:
      for step in range(1, 9):
        tree = advance(tree)
        made.save(step, tree, {})
        made.wait()
        alive.append(len(jax.live_arrays()))
        threads.append(threading.active_count())
    self.assertEqual(alive[2], alive[-1], alive)
    self.assertLessEqual(threads[-1], threads[2], threads)
    self.assertLen(list(self.folder.iterdir()), 2)

  def test_nothing_is_begun_anew_over_what_cannot_be_read(self):
    self._save((1, 2))
    self._flip(1)
    self._flip(2)
    with _opened(self.folder) as made:
      with self.assertRaisesRegex(
        errors.InputError, 'checkpoints of steps 1, 2, and none of them can be'
      ):
        made.restore(state(0))

  def test_a_state_of_another_shape_is_no_state_of_this_run(self):
    self._save((1,))
    other = {**state(0), 'weights': jnp.zeros((3, 3))}
    with _opened(self.folder) as made:
      with self.assertRaisesRegex(
        errors.InputError, 'none of them can be read'
      ):
        made.restore(other)

  def test_a_save_that_fails_is_told(self):
    made = checkpoints.Checkpoints(self.folder)
    made._failed = OSError('no room')
    with self.assertRaisesRegex(OSError, 'no room'):
      made.save(1, state(1), {})
    made.close()

  def test_killed_at_any_moment_it_goes_on_from_a_whole_one(self):
    draw = random.Random(3)
    reached = 0
    for _ in range(4):
      writer = subprocess.Popen(
        [sys.executable, '-c', _WRITER, str(self.folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
      )
      assert writer.stdout is not None
      first = int(writer.stdout.readline())
      # No further back than the save that may have been under way.
      self.assertBetween(first, max(1, reached - 1), reached + 1)
      for _ in range(draw.randrange(4)):
        reached = int(writer.stdout.readline())
      time.sleep(draw.uniform(0, 0.1))
      writer.send_signal(signal.SIGKILL)
      rest = writer.stdout.read().split()
      writer.wait()
      reached = max([first, reached, *map(int, rest)])
    with _opened(self.folder) as made:
      found = made.restore(state(0))
    _equal(self, found, found[0])
    self.assertBetween(found[0], reached - 1, reached)


if __name__ == '__main__':
  absltest.main()
