# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the schedule, and of what updates which parameter."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.training import checkpoints
from selfexplain_jax.training import freezing
from selfexplain_jax.training import optimizer as optimizer_lib

_RANDOM = np.random.default_rng(1)
# Named and shaped as the parameters of a decoder.
MODEL = {
  'embedding': jnp.asarray(_RANDOM.normal(size=(10, 8)), jnp.float32),
  'final_norm': jnp.ones(8),
  'layers': {
    'gate': jnp.asarray(_RANDOM.normal(size=(2, 8, 12)), jnp.float32),
    'mlp_norm': jnp.ones((2, 8)),
    'query': jnp.asarray(_RANDOM.normal(size=(2, 8, 8)), jnp.float32),
  },
}


def _config(**changes):
  fields = dict(
    peak_rate=0.1, adam_rate=0.5, warmup=4, weight_decay=0.0, clip_norm=1e9
  )
  return ml_collections.ConfigDict({**fields, **changes})


def _gradient(like):
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), like
  )


def _update(config, trained=MODEL, gradient=None, frozen=freezing.NOTHING):
  """Returns the last of some updates by one gradient, by parameter name."""
  optimizer = optimizer_lib.make(config, 100, frozen)
  gradient = _gradient(trained) if gradient is None else gradient
  state = optimizer.init(trained)
  update = jax.jit(optimizer.update)
  for _ in range(2):
    updates, state = update(gradient, state, trained)
  names = checkpoints.leaf_names(trained)
  leaves = map(np.asarray, jax.tree.leaves(updates))
  return dict(zip(names, leaves, strict=True))


class ScheduleTest(absltest.TestCase):
  def test_may_stay_at_its_peak(self):
    rate = optimizer_lib.schedule(_config(schedule='constant'), steps=14)
    for step, expected in ((0, 0.0), (1, 0.025), (4, 0.1), (9, 0.1), (14, 0.1)):
      self.assertAlmostEqual(float(rate(step)), expected, places=6)
    with self.assertRaisesRegex(errors.InputError, "'cosine'.*constant"):
      optimizer_lib.schedule(_config(schedule='cosine'), steps=14)

  def test_rises_and_falls_linearly(self):
    rate = optimizer_lib.schedule(_config(), steps=14)
    for step, expected in (
      (0, 0.0),
      (1, 0.025),
      (2, 0.05),
      (4, 0.1),
      (9, 0.05),
      (14, 0.0),
      (15, 0.0),
    ):
      self.assertAlmostEqual(float(rate(step)), expected, places=6)

  def test_a_run_of_warmup_alone(self):
    rate = optimizer_lib.schedule(_config(), steps=4)
    self.assertAlmostEqual(float(rate(3)), 0.075, places=6)


class MakeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.plain = _update(_config())

  def test_matrices_go_by_muon_and_all_else_by_adam(self):
    # The second step of four to the peak: a quarter of it, and half for Adam.
    rate, adam_rate = 0.025, 0.0125
    for name, update in self.plain.items():
      if update.ndim == 3:
        # Orthogonal, but for what five Newton-Schulz iterations leave over.
        for layer in update:
          values = np.linalg.svd(layer, compute_uv=False)
          self.assertLess(values.max() / values.min(), 2.5, name)
          self.assertGreater(values.min(), 0.1 * rate)
      else:
        # Nesterov's look ahead makes early steps of Adam a little longer.
        size = np.abs(update)
        np.testing.assert_allclose(size, size.mean(), rtol=0.01, err_msg=name)
        self.assertBetween(size.mean() / adam_rate, 1.0, 1.2)

  def test_what_is_frozen_stays_and_shortens_no_other_update(self):
    config = _config(weight_decay=0.5, clip_norm=1.0)
    frozen = freezing.Frozen(('gate',), 1)
    found = _update(config, frozen=frozen)
    np.testing.assert_array_equal(found['layers.gate'][0], 0)

    def rest(tree):
      layers = {**tree['layers'], 'gate': tree['layers']['gate'][1:]}
      return {**tree, 'layers': layers}

    # As if the frozen block were not there, the norm of the gradient too.
    expected = _update(config, rest(MODEL), rest(_gradient(MODEL)))
    found['layers.gate'] = found['layers.gate'][1:]
    for name, update in expected.items():
      np.testing.assert_allclose(found[name], update, 1e-4, 1e-6, err_msg=name)

  def test_weights_of_matrices_decay_and_no_others(self):
    decayed = _update(_config(weight_decay=0.5))
    values = dict(
      zip(checkpoints.leaf_names(MODEL), jax.tree.leaves(MODEL), strict=True)
    )
    for name, update in decayed.items():
      rate = 0.025 * 0.5 if update.ndim == 3 else 0.0
      np.testing.assert_allclose(
        update, self.plain[name] - rate * values[name], 0, 1e-5, err_msg=name
      )

  def test_long_gradients_are_clipped(self):
    def moved(clip, scale):
      # After one clipped gradient, a small one: how far Adam goes then shows
      # how long it took the first to be.
      optimizer = optimizer_lib.make(_config(clip_norm=clip), 100)
      state = optimizer.init(MODEL)
      ones = jax.tree.map(jnp.ones_like, MODEL)
      update = jax.jit(optimizer.update)
      for factor in (scale, 2e-2):
        updates, state = update(optax.tree.scale(factor, ones), state, MODEL)
      return np.abs(np.asarray(updates['embedding'])).max()

    np.testing.assert_allclose(moved(1.0, 10.0), moved(1.0, 1000.0), 1e-3)
    self.assertLess(moved(1e9, 1000.0), 0.9 * moved(1.0, 1000.0))

  def test_a_parameter_that_starts_at_zero_is_trained_too(self):
    # As the second factor of an adapter.
    trained = {'up': jnp.zeros((2, 3, 8)), 'embedding': jnp.zeros((10, 8))}
    updates = _update(_config(), trained)
    for name, update in updates.items():
      self.assertTrue(np.any(update), name)
      self.assertTrue(np.isfinite(update).all(), name)


class AdamWTest(absltest.TestCase):
  def test_is_that_of_the_library_for_every_parameter(self):
    config = _config(kind='adamw', schedule='constant', weight_decay=0.25)
    found = _update(config)
    oracle = optax.adamw(optimizer_lib.schedule(config, 100), weight_decay=0.25)
    state = oracle.init(MODEL)
    for _ in range(2):
      expected, state = oracle.update(_gradient(MODEL), state, MODEL)
    for name, value in zip(
      checkpoints.leaf_names(MODEL), jax.tree.leaves(expected), strict=True
    ):
      np.testing.assert_allclose(found[name], value, rtol=1e-5)
    muon = _update(_config(weight_decay=0.25))
    self.assertGreater(
      np.abs(found['layers.gate'] - muon['layers.gate']).max(), 0.01
    )

  def test_holds_what_is_frozen(self):
    config = _config(kind='adamw', weight_decay=0.25)
    found = _update(config, frozen=freezing.Frozen(('gate',), 1))
    self.assertFalse(found['layers.gate'][0].any())
    self.assertTrue(found['layers.gate'][1].any())

  def test_refuses_another_kind(self):
    with self.assertRaisesRegex(errors.InputError, "'adam'.*muon or adamw"):
      optimizer_lib.make(_config(kind='adam'), 100)


if __name__ == '__main__':
  absltest.main()
