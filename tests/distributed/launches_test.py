# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of launches ahead of reading, side by side and one by one."""

import functools
import threading
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import launches
from selfexplain_jax.distributed import mesh as mesh_lib


class LaunchesTest(parameterized.TestCase):
  def devices(self, count):
    """Lets JAX say that there are so many; one lets programs be in threads."""
    self.enter_context(
      mock.patch.object(launches.jax, 'device_count', return_value=count)
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

  @parameterized.parameters((1, 3), (2, 1))
  def test_few_are_ahead_of_the_reading(self, devices, ahead):
    self.devices(devices)
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
    both = threading.Barrier(2, timeout=60)

    def wait(made):
      both.wait()  # Fails if the other is not under way.
      return made

    calls = [functools.partial(jnp.asarray, n) for n in range(4)]
    with mock.patch.object(launches.jax, 'block_until_ready', wait):
      found = list(launches.launched(calls))
    self.assertEqual([int(one) for one in found], [0, 1, 2, 3])

  def test_a_program_is_compiled_once(self):
    self.devices(1)
    traced = []

    @jax.jit
    def program(x):
      traced.append(threading.get_ident())
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

  @parameterized.parameters(1, 2)
  def test_a_failure_ends_it(self, devices):
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
    self.assertLessEqual(found, [0, 1])
    self.assertLess(max(called), 6)


if __name__ == '__main__':
  absltest.main()
