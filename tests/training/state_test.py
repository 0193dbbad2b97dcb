# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the state of a training run, by hand."""

from absl.testing import absltest
import jax.numpy as jnp
import optax

from selfexplain_jax.training import state as state_lib


class StateTest(absltest.TestCase):
  def test_momentum_by_hand(self):
    optimizer = optax.sgd(0.5, momentum=0.5)
    state = state_lib.start({'a': jnp.array([1.0, 2.0])}, optimizer)
    gradient = {'a': jnp.array([1.0, -2.0])}
    state = state_lib.update(state, gradient, optimizer)
    self.assertEqual(state.model['a'].tolist(), [0.5, 3.0])
    # The gradient and half of the last one.
    state = state_lib.update(state, gradient, optimizer)
    self.assertEqual(state.model['a'].tolist(), [-0.25, 4.5])


if __name__ == '__main__':
  absltest.main()
