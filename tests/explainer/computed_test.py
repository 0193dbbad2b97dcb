# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of computed vectors against those that a set stores."""

import dataclasses
import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import computed
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import lora
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import patching
from selfexplain_jax.training import state as state_lib
from tests.data import fixtures
from tests.tasks import patching_makers

MODEL, SITE = patching_makers.MODEL, patching_makers.SITE
TOKENIZER = fixtures.TOKENIZER
VECTOR = TOKENIZER.vector_id
ROWS, BATCH = 24, 4


@functools.cache
def _made():
  return patching_makers.maker().make()


def _patching(grouped):
  """The examples of the set, of which some show several vectors."""
  made = _made()
  shown, origins, start = [], [], 0
  while start < len(made.records):
    count = 1 + len(shown) % 3 if grouped else 1
    rows = made.records[start : start + count]
    shown.append([v for row in rows for v in row['vectors']])
    origins.append([o for row in rows for o in patching.origins(row)])
    start += count
  questions = [
    [[1, *[VECTOR, 5] * len(own), 6 + n % 3]] for n, own in enumerate(shown)
  ]
  return pipeline.Examples(
    task=patching.NAME,
    questions=questions_lib.Questions(questions, [[7, 2]] * len(shown)),
    vectors=made.vectors,
    shown=shown,
    most=3 if grouped else 1,
    blocks=np.zeros(len(shown), np.int32),
    weight=1.0,
    origins=origins,
  )


def _ablation():
  """Examples without vectors."""
  records = [fixtures.ablation_record(n) for n in range(5)]
  return pipeline.Examples(
    task=ablation.NAME,
    questions=questions_lib.Questions([[[1, 5, 6]]] * 5, [[8, 2]] * 5),
    vectors=np.zeros((0, fixtures.WIDTH), np.float32),
    shown=[[]] * 5,
    most=1,
    blocks=np.zeros(5, np.int32),
    weight=0.2,
    origins=[ablation.origins(record) for record in records],
  )


def _batches(stored, grouped=True):
  """Yields the same batches with vectors, or with where they are from."""
  tasks = [_patching(grouped), _ablation()]
  if stored:
    tasks = [dataclasses.replace(task, origins=None) for task in tasks]
  source = pipeline.PackedRows(
    tasks, seed=0, capacity=40, per_row=4, rows=ROWS * BATCH
  )
  return pipeline.batches(source, BATCH, 0)


def _random_adapter(mesh):
  adapter = lora.initialize(MODEL, 2, jax.random.key(1), mesh)
  keys = iter(jax.random.split(jax.random.key(2), 99))
  return jax.tree.map(
    lambda x: jax.random.normal(next(keys), x.shape) * 0.3, adapter
  )


class VectorsTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_are_those_that_the_set_stores(self, grouped):
    shown = np.zeros(len(_made().vectors), bool)
    compute = jax.jit(computed.with_vectors, static_argnames='site')
    several = padding = 0
    for stored, batch in zip(
      _batches(True, grouped), _batches(False, grouped), strict=True
    ):
      self.assertNotIn('vectors', batch)
      most = 4 * (3 if grouped else 1)
      self.assertEqual(batch['origin_tokens'].shape[:2], (BATCH, most))
      found = compute(MODEL, batch, site=SITE)
      self.assertSameElements(found, stored)
      np.testing.assert_allclose(found['vectors'], stored['vectors'], 0, 1e-5)
      none = np.all(stored['vectors'] == 0, -1)
      np.testing.assert_array_equal(np.all(found['vectors'] == 0, -1), none)
      several += np.sum(np.sum(~none, 1) > 1)
      padding += np.sum(none)
      shown |= np.any(
        np.all(
          stored['vectors'].reshape(-1, 1, fixtures.WIDTH)
          == _made().vectors[None],
          -1,
        ),
        0,
      )
    self.assertTrue(np.all(shown))
    self.assertGreater(several, 20)
    self.assertGreater(padding, 20)

  def test_of_another_site(self):
    site = 'mlp_out'
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 40, (2, 3, 7)).astype(np.int32)
    positions = rng.integers(0, 7, (2, 3)).astype(np.int32)
    layers = np.array([[[0, 0], [0, 1], [1, 1]]] * 2, np.int32)
    flat = tokens.reshape(6, 7)
    tap = capture.build(MODEL.config, (site,), (0, 1), positions.reshape(6, 1))
    kept = np.asarray(capture.run(MODEL, flat, tap)[site])[:, :, 0]
    expected = [
      kept[first : last + 1, i].mean(0)
      for i, (first, last) in enumerate(layers.reshape(6, 2))
    ]
    found = computed.vectors(MODEL, tokens, positions, layers, site)
    np.testing.assert_allclose(
      found.reshape(6, -1), np.array(expected), 0, 1e-5
    )

  def test_no_layer_is_run_after_the_last_that_is_read(self):
    broken = jax.tree.map(lambda x: x, MODEL)
    down = MODEL.layers.down.get_value()
    broken.layers.down = MODEL.layers.down.replace(down.at[1].set(jnp.nan))
    tokens = np.ones((1, 2, 3), np.int32)
    layers = np.array([[[0, 0], [0, -1]]], np.int32)
    arguments = tokens, np.zeros((1, 2), np.int32), layers, SITE
    np.testing.assert_array_equal(
      computed.vectors(broken, *arguments), computed.vectors(MODEL, *arguments)
    )

  def test_a_batch_with_vectors_stays(self):
    batch = next(_batches(True))
    self.assertIs(computed.with_vectors(MODEL, batch, SITE), batch)

  def test_have_no_gradients(self):
    batch = next(_batches(False))

    @jax.grad
    def gradient(model):
      return jnp.sum(computed.with_vectors(model, batch, SITE)['vectors'])

    for leaf in jax.tree.leaves(gradient(MODEL)):
      self.assertFalse(np.any(leaf))


class StepTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh()
    self.enter_context(jax.set_mesh(self.mesh))
    self.injection = injection_lib.Injection('replace_embedding', VECTOR, 1.0)
    self.optimizer = optax.sgd(0.1)

  def state(self, adapter):
    trained = train_step.Trained(adapter, self.injection.parameters)
    return state_lib.start(jax.tree.map(jnp.copy, trained), self.optimizer)

  def step(self, accumulate=1, base=MODEL):
    return train_step.make_step(
      *(self.optimizer, self.injection, 0.5, base, accumulate, SITE)
    )

  def test_is_that_with_stored_vectors(self):
    replay = {
      'tokens': np.ones((2, 8), np.int32),
      'weights': np.ones((2, 8), np.float32),
    }
    found = []
    for stored in (True, False):
      step = self.step(accumulate=2)
      state, losses = self.state(_random_adapter(self.mesh)), []
      batches = _batches(stored)
      for _ in range(3):
        state, metrics = step(state, {**next(batches), 'replay': replay})
        losses.append([float(metrics[n]) for n in sorted(metrics)])
      found.append((losses, jax.device_get(state)))
    np.testing.assert_allclose(found[0][0], found[1][0], 1e-4)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, 1e-3, 1e-4),
      *(jax.tree.leaves(state) for _, state in found),
    )
    self.assertEqual(step.func._cache_size(), 1)

  def test_the_adapter_is_off(self):
    batch = next(_batches(False))
    adapter = _random_adapter(self.mesh)
    expected = computed.with_vectors(MODEL, batch, SITE)['vectors']
    adapted = lora.adapt(MODEL, adapter)
    others = computed.with_vectors(adapted, batch, SITE)['vectors']
    self.assertGreater(float(jnp.max(jnp.abs(others - expected))), 0.1)
    explained = {**batch, 'vectors': expected}
    loss = train_step.answer_loss(adapted, self.injection, explained)
    _, metrics = self.step()(self.state(adapter), batch)
    np.testing.assert_allclose(metrics['loss'], loss, 1e-4)
    wrong = {**batch, 'vectors': others}
    loss = train_step.answer_loss(adapted, self.injection, wrong)
    self.assertGreater(abs(float(metrics['loss'] - loss)), 1e-2)

  def test_without_a_base_there_is_nothing_to_compute_with(self):
    with self.assertRaisesRegex(ValueError, 'no base'):
      self.step(base=None)(self.state(MODEL), next(_batches(False)))


class CheckTest(parameterized.TestCase):
  def check(self, **changes):
    config = ml_collections.ConfigDict(
      dict(
        vectors='computed',
        lora_rank=2,
        projection=dict(start='none'),
        text_only=False,
      )
    )
    config.update_from_flattened_dict(changes)
    return computed.check(config)

  def test_computes_or_does_not(self):
    self.assertTrue(self.check())
    self.assertFalse(self.check(vectors='stored', lora_rank=0))

  @parameterized.parameters(
    ({'vectors': 'dreamt'}, "'dreamt': expected stored or computed"),
    ({'lora_rank': 0}, 'lora_rank is 0: expected at least 1'),
    ({'projection.start': 'random'}, 'projection.start is random: expected'),
    ({'text_only': True}, 'text_only is True: expected False'),
  )
  def test_refuses(self, changes, said):
    with self.assertRaisesRegex(errors.InputError, said):
      self.check(**changes)


if __name__ == '__main__':
  absltest.main()
