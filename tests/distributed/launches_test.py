# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of launches ahead of reading, side by side and one by one."""

import functools
import gc
import sys
import threading
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import launches
from selfexplain_jax.distributed import mesh as mesh_lib


class LaunchesTest(parameterized.TestCase):
  def devices(self, count, platform='cpu'):
    """Lets JAX say what there is; programs of one CPU are in threads."""
    for name, value in dict(
      device_count=count, default_backend=platform
    ).items():
      self.enter_context(
        mock.patch.object(launches.jax, name, return_value=value)
      )

  @parameterized.parameters(1, 2)
  def test_what_is_yielded_is_in_order_and_on_the_host(self, devices):
    self.devices(devices)
    square = jax.jit(lambda x: {'square': x * x})
    calls = (functools.partial(square, jnp.full(3, n)) for n in range(9))
    found = list(launches.fetched(calls))
    self.assertIsInstance(found[0]['square'], np.ndarray)
    self.assertEqual(
      [one['square'][0] for one in found], [n * n for n in range(9)]
    )
    self.assertEmpty(list(launches.fetched([])))

  @parameterized.parameters(
    ((1, 'cpu'), 3), ((2, 'cpu'), 1), ((1, 'gpu'), 1), ((1, 'cpu', 64), 1)
  )
  def test_few_are_ahead_of_the_reading(self, machine, ahead):
    self.devices(*machine[:2])
    if machine[2:]:
      held = jnp.zeros(machine[2], jnp.int8)  # As much as is called large.
      self.enter_context(mock.patch.object(launches, '_LARGE', held.nbytes))
    taken = []

    def calls():
      for n in range(9):
        taken.append(n)
        yield functools.partial(jnp.asarray, n)

    for n, value in enumerate(launches.fetched(calls())):
      self.assertEqual(value, n)
      self.assertLen(taken, min(n + 1 + ahead, 9))

  def test_one_device_of_a_cpu_runs_several_side_by_side(self):
    self.devices(1)
    both, waited = threading.Barrier(2, timeout=60), []

    def wait(made):
      both.wait()  # Fails if the other is not under way.
      waited.append(int(made))
      return made

    calls = [functools.partial(jnp.asarray, n) for n in range(4)]
    with mock.patch.object(launches.jax, 'block_until_ready', wait):
      found = list(launches.launched(calls))
    self.assertEqual([int(one) for one in found], [0, 1, 2, 3])
    self.assertCountEqual(waited, [0, 1, 2, 3])

  def test_a_program_is_traced_once(self):
    self.devices(1)
    traced = []

    @jax.jit
    def program(x):
      traced.append(threading.get_ident())
      time.sleep(0.2)  # Others are launched meanwhile.
      return x + 1

    calls = (functools.partial(program, np.float32(n)) for n in range(6))
    self.assertLen(list(launches.fetched(calls)), 6)
    self.assertLen(traced, 1)

  @parameterized.parameters(1, 2)
  def test_calls_see_the_mesh(self, devices):
    self.devices(devices)
    mesh = mesh_lib.make_mesh(devices=jax.devices()[:1])
    seen = []

    def call():
      seen.append(jax.sharding.get_mesh())
      return jnp.zeros(())

    with jax.set_mesh(mesh):
      list(launches.fetched([call] * 3))
    self.assertEqual(seen, [mesh] * 3)

  @parameterized.parameters((1, [0, 1]), (2, [0]))
  def test_a_failure_ends_it(self, devices, read):
    self.devices(devices)
    called = []

    def call(n):
      called.append(n)
      if n == 2:
        raise KeyboardInterrupt
      return jnp.asarray(n)

    calls = (functools.partial(call, n) for n in range(50))
    found = []
    with self.assertRaises(KeyboardInterrupt):
      found.extend(int(x) for x in launches.fetched(calls))
    self.assertEqual(found, read)
    self.assertLess(max(called), 6)

  def test_nothing_runs_on_after_a_failure(self):
    self.devices(1)
    ended = []

    def call(n):
      if n == 0:
        raise ValueError('the first')
      time.sleep(0.2)
      ended.append(n)

    calls = [functools.partial(call, n) for n in range(9)]
    with self.assertRaisesRegex(ValueError, 'the first'):
      list(launches.launched(calls))
    self.assertCountEqual(ended, [1, 2, 3])

    def few():
      yield functools.partial(call, 4)
      raise ValueError('of the calls')

    with self.assertRaisesRegex(ValueError, 'of the calls'):
      list(launches.launched(few()))
    self.assertEqual(ended[3:], [4])

  def test_one_of_the_threads_may_be_the_one_to_drop_it(self):
    """It must not wait there for another, which may be waiting for it."""
    self.devices(1)
    lock, locked, dropped = (
      threading.Lock(),
      threading.Event(),
      threading.Event(),
    )
    ended = []
    told = self.enter_context(mock.patch.object(sys, 'unraisablehook'))

    class Holder:
      pass

    def call(n):
      if n == 1:
        locked.wait(60)
        ended.append(lock.acquire(timeout=10))
      if n == 2:
        with lock:
          locked.set()
          dropped.wait(60)
          gc.collect()
        ended.append(True)
      return jnp.asarray(n)

    holder = Holder()
    holder.made = launches.launched(
      functools.partial(call, n) for n in range(9)
    )
    holder.itself = holder  # Only the collector finds it.
    self.assertEqual(int(next(holder.made)), 0)
    del holder
    dropped.set()
    for thread in threading.enumerate():
      if thread.name.startswith('ThreadPoolExecutor'):
        thread.join(60)
    self.assertEqual(ended, [True, True])
    told.assert_not_called()


if __name__ == '__main__':
  absltest.main()
