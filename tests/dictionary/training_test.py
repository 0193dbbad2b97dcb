# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of training on activations whose directions are known."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import training

WIDTH, FEATURES, LAYERS, BATCH = 16, 24, 2, 128
SETTINGS = training.Settings(
  features=FEATURES,
  kind='jumprelu',
  k=2,
  dead_after=5 * BATCH,
  auxiliary_k=8,
  auxiliary_weight=1.0,
  threshold_rate=0.1,
)


def _planted(seed: int = 0, rows: int = 2048):
  """Rows that are a mean and two of some directions, and the directions."""
  random = np.random.default_rng(seed)
  directions = random.normal(size=(LAYERS, FEATURES, WIDTH))
  directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
  codes = np.zeros((rows, LAYERS, FEATURES))
  for row in range(rows):
    for layer in range(LAYERS):
      on = random.choice(FEATURES, 2, replace=False)
      codes[row, layer, on] = random.uniform(5, 10, 2)
  x = np.einsum('rls,lsd->rld', codes, directions) + 3.0
  return x.astype(np.float32), directions


X, DIRECTIONS = _planted()


def _train(settings=SETTINGS, x=X, steps=300, edit=lambda state: state):
  optimizer = optax.adam(optax.linear_schedule(0.02, 0.0, steps))
  step = training.make_step(optimizer, settings)
  state = training.start(x, settings, optimizer, jax.random.key(0))
  state = edit(state)
  metrics = {}
  for i in range(steps):
    at = i * BATCH % len(x)
    state, metrics = step(state, x[at : at + BATCH])
  return state, metrics


class TrainingTest(parameterized.TestCase):
  @parameterized.parameters('jumprelu', 'topk')
  def test_finds_the_directions(self, kind):
    state, _ = _train(dataclasses.replace(SETTINGS, kind=kind))
    for layer in range(LAYERS):
      sae = training.export(state, layer)
      self.assertEqual(sae.kind, kind)
      decoder = np.asarray(sae.decoder_SxD)
      np.testing.assert_allclose(np.linalg.norm(decoder, axis=1), 1, 0, 1e-5)
      best = (DIRECTIONS[layer] @ decoder.T).max(1)
      # Of random directions the best are at about 0.6.
      self.assertGreaterEqual(np.mean(best > 0.9), 0.75, best)
      # And of the other layer's directions it knows nothing.
      self.assertLess(np.mean((DIRECTIONS[1 - layer] @ decoder.T).max(1)), 0.8)
      x = X[:, layer]
      features = sae_lib.encode(sae, x)
      error = np.sum((x - sae_lib.decode(sae, features)) ** 2)
      self.assertLess(error, 0.1 * np.sum((x - x.mean(0)) ** 2))
      fires = float(jnp.mean(jnp.sum(features > 0, 1)))
      self.assertBetween(fires, 1.5, 2.3)

  def test_layers_do_not_meet(self):
    both, _ = _train(steps=20)
    # The other layer's rows in another order: nothing of it is the same.
    x = X.copy()
    x[:, 1] = x[::-1, 1]
    other, _ = _train(x=x, steps=20)
    for name in ('encoder_DxS', 'decoder_SxD', 'threshold_S'):
      a, b = getattr(both.sae, name), getattr(other.sae, name)
      np.testing.assert_array_equal(a[0], b[0], name)
      self.assertFalse(np.array_equal(a[1], b[1]), name)

  @parameterized.parameters(('topk', 3), ('topk', BATCH), ('jumprelu', BATCH))
  def test_a_step_follows_the_plain_gradient(self, kind, rows):
    settings = dataclasses.replace(SETTINGS, kind=kind)
    optimizer = optax.sgd(1.0)
    state = training.start(X, settings, optimizer, jax.random.key(0))
    dead = np.arange(FEATURES) < 8
    idle = np.stack([dead, 0 * dead]) * 2 * settings.dead_after
    state = state._replace(idle_LxS=jnp.asarray(idle, jnp.int32))

    def loss(sae, layer):
      x = X[:rows, layer] / state.scale_L[layer]
      values = x - sae.decoder_bias_D[None]
      values = values @ sae.encoder_DxS + sae.encoder_bias_S[None]
      if kind == 'topk':
        lowest = jnp.sort(values, 1)[:, -settings.k, None]
        fires = jnp.where(values >= lowest, jnp.maximum(values, 0), 0)
      else:
        lowest = training.batch_threshold(values, settings.k)
        fires = jnp.where(values > lowest, values, 0)
      made = fires @ sae.decoder_SxD + sae.decoder_bias_D[None]
      total = jnp.mean((x - made) ** 2)
      if layer:
        return total
      unmade = jax.lax.stop_gradient(x - made)
      values = jnp.where(dead[None], values, 0)
      lowest = training.batch_threshold(values, settings.auxiliary_k)
      fires = jnp.where(values > lowest, values, 0)
      extra = jnp.mean((unmade - fires @ sae.decoder_SxD) ** 2)
      return total + settings.auxiliary_weight * extra

    before = jax.tree.map(np.asarray, state.sae)  # The step donates it.
    expected = [jax.grad(loss)(state.sae.layer(i), i) for i in range(LAYERS)]
    step = training.make_step(optimizer, settings)
    after, _ = step(state, X[:rows])
    for name in ('encoder_DxS', 'encoder_bias_S', 'decoder_bias_D'):
      for layer in range(LAYERS):
        moved = getattr(before, name)[layer] - getattr(after.sae, name)[layer]
        np.testing.assert_allclose(
          moved, getattr(expected[layer], name), 1e-3, 1e-6, err_msg=name
        )

  def test_dead_features_come_to_life(self):
    def kill(state):
      # A third encodes so little that it never is among the highest.
      factor = jnp.where(jnp.arange(FEATURES) < 8, 0.01, 1.0)
      encoder = state.sae.encoder_DxS * factor[None, None]
      return state._replace(
        sae=dataclasses.replace(state.sae, encoder_DxS=encoder)
      )

    found = {
      weight: _train(
        dataclasses.replace(SETTINGS, auxiliary_weight=weight),
        steps=120,
        edit=kill,
      )[1]['dead']
      for weight in (0.0, 1.0)
    }
    self.assertGreater(found[0.0], 0.2)
    self.assertLess(found[1.0], 0.1)

  def test_export_takes_raw_activations(self):
    state, _ = _train(steps=5)
    for layer in range(LAYERS):
      inner, scale = state.sae.layer(layer), state.scale_L[layer]
      sae = training.export(state, layer)
      x = X[:64, layer]
      features = sae_lib.encode(inner, x / scale)
      self.assertGreater(int(jnp.sum(features > 0)), 64)
      np.testing.assert_allclose(
        sae_lib.encode(sae, x), features * scale, 0, 1e-3
      )
      np.testing.assert_allclose(
        sae_lib.decode(sae, features * scale),
        sae_lib.decode(inner, features) * scale,
        0,
        1e-3,
      )

  def test_gradient_does_not_lengthen_the_decoder(self):
    state, _ = _train(steps=1)
    random = np.random.default_rng(0)
    raw = jnp.asarray(random.normal(size=state.sae.decoder_SxD.shape))
    gradient = dataclasses.replace(state.sae, decoder_SxD=raw)
    left = training._tangent(gradient, state.sae).decoder_SxD
    along = np.sum(left * state.sae.decoder_SxD, -1)
    np.testing.assert_allclose(along, np.zeros_like(along), 0, 1e-5)
    # What was taken away has the direction of the decoder's rows.
    taken = raw - left
    length = np.linalg.norm(taken, axis=-1)
    cosine = np.sum(taken * state.sae.decoder_SxD, -1) / length
    np.testing.assert_allclose(np.abs(cosine), np.ones_like(cosine), 0, 1e-4)

  def test_starts_at_the_mean_with_the_transpose_and_below_all_variance(self):
    optimizer = optax.adam(0.0)
    state = training.start(X, SETTINGS, optimizer, jax.random.key(0))
    _, metrics = training.make_step(optimizer, SETTINGS)(
      jax.tree.map(jnp.copy, state), X[:BATCH]
    )
    self.assertLess(float(metrics['loss']), 0.9)
    self.assertAlmostEqual(float(metrics['l0']), SETTINGS.k, delta=0.1)
    for layer in range(LAYERS):
      sae = training.export(state, layer)
      np.testing.assert_allclose(
        sae.decoder_bias_D, X[:, layer].mean(0), 1e-4, 0
      )
      factor = np.asarray(sae.encoder_DxS / sae.decoder_SxD.T)
      np.testing.assert_allclose(
        factor, np.full_like(factor, factor[0, 0]), 1e-3
      )
      centred = X[:, layer] - X[:, layer].mean(0)
      self.assertAlmostEqual(
        float(state.scale_L[layer]), float(centred.std()), delta=1e-3
      )

  @parameterized.parameters(1, 3, 11, 50)
  def test_batch_threshold_is_that_of_sorting(self, k):
    values = np.random.default_rng(k).normal(size=(20, 30)).astype(np.float32)
    found = float(training.batch_threshold(jnp.asarray(values), k))
    highest = np.sort(np.maximum(values, 0).reshape(-1))[::-1]
    most = min(k * 20, int((values > 0).sum()))
    self.assertEqual(int((values > found).sum()), most)
    self.assertLess(found, highest[most - 1])
    self.assertGreaterEqual(found, max(0, highest[min(most, 599)]) - 1e-5)

  @parameterized.parameters(
    ({'kind': 'gated'}, "kind 'gated': expected topk or jumprelu"),
    ({'k': 25}, 'k=25: expected 1 to 24'),
  )
  def test_refuses_settings_by_name(self, change, message):
    with self.assertRaisesRegex(errors.InputError, message):
      dataclasses.replace(SETTINGS, **change)


if __name__ == '__main__':
  absltest.main()
