# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the explainer's loss against one example at a time."""

import functools
import gc
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from selfexplain_jax.data import packing
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import checkpoints
from selfexplain_jax.training import freezing
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib
from tests.models import oracle
from tests.models import tiny

VECTOR, NORM, BLOCK, CAPACITY, VECTORS_PER_ROW = 6, 2.5, 1, 24, 5
ANSWERS = 9  # Room for two more than there are in any row.
MODEL = tiny.model(layers=2)
# The rows of a batch; examples show one vector, three or none. The second row
# has room for another example, and for three more vectors.
ROWS = (
  (
    ([1, 7, VECTOR, 8], [9, 2]),
    ([1, VECTOR, 11, VECTOR, VECTOR], [12, 13, 14, 2]),
    ([1, 15, 16, VECTOR, 18], [2]),
  ),
  (
    ([1, 20, 21], [22, 2]),
    ([1, VECTOR, 23, VECTOR], [25, 26, 27, 2]),
  ),
)
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2, VECTORS_PER_ROW, 12)) * 3
BLOCKS = layer_blocks_lib.LayerBlocks(((0, 1), (2, 3)))
IDS = RNG.integers(0, 2, (2, VECTORS_PER_ROW)).astype(np.int32)
VALUES = {
  'scale': np.array([2.0, 3.0]),
  'bias': RNG.normal(size=(2, 16)),
  'projection': RNG.normal(size=(2, 16, 12)),
}
OPTIMIZER = ml_collections.ConfigDict(
  dict(peak_rate=0.01, adam_rate=1.0, warmup=1, weight_decay=0.1, clip_norm=1.0)
)


def _batch(vectors=VECTORS):
  packed = [packing.pack(row, CAPACITY, ANSWERS) for row in ROWS]
  batch = {name: np.stack([p[name] for p in packed]) for name in packed[0]}
  return {
    **batch,
    'vectors': vectors.astype(np.float32),
    'vector_blocks': IDS,
  }


def _injection(mode):
  names = injection_lib.shapes(mode, BLOCKS, 16, 12)
  return injection_lib.Injection(
    mode,
    VECTOR,
    NORM,
    BLOCK,
    BLOCKS,
    injection_lib.place({name: VALUES[name] for name in names}),
  )


def _loss(mode, batch):
  loss = train_step.compiled_answer_loss
  return float(loss(MODEL, _injection(mode), batch))


def _show(mode, ids, vectors, blocks, site, layer, x):
  """Shows vectors, as an edit of the oracle."""
  vectors = iter(zip(vectors, blocks, strict=True))
  for at in np.flatnonzero(ids == VECTOR):
    vector, block = next(vectors)
    shown = VALUES['projection'][block] @ vector
    direction = shown / np.linalg.norm(shown)
    if mode == 'add_norm_matched':
      if (site, layer) == ('resid_post', BLOCK):
        x[at] += direction * np.linalg.norm(x[at])
    elif site == 'embed':
      x[at] = {
        'replace_embedding': shown,
        'replace_embedding_scaled': direction * NORM,
        'scale_and_bias': direction * VALUES['scale'][block]
        + VALUES['bias'][block],
      }[mode]
  return x


def _alone(mode, question, answer, vectors, blocks):
  """Returns the losses of the answer tokens of one example, in float64."""
  ids = np.array([*question, *answer], np.int32)
  shown = functools.partial(_show, mode, ids, vectors, blocks)
  logits, _ = oracle.forward(MODEL, ids, shown)
  said = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  start = len(question)
  return [-said[start + i - 1, token] for i, token in enumerate(answer)]


class AnswerLossTest(parameterized.TestCase):
  @parameterized.parameters(*injection_lib.MODES)
  def test_is_the_mean_over_answer_tokens_one_example_at_a_time(self, mode):
    losses = []
    for row, examples in enumerate(ROWS):
      start = 0
      for question, answer in examples:
        own = slice(start, start + question.count(VECTOR))
        losses += _alone(
          mode, question, answer, VECTORS[row, own], IDS[row, own]
        )
        start = own.stop
    self.assertLen(losses, 13)
    self.assertAlmostEqual(
      _loss(mode, _batch()), sum(losses) / len(losses), places=5
    )

  def test_every_vector_matters_but_that_of_no_example(self):
    mode = injection_lib.MODES[0]
    before = _loss(mode, _batch())
    for row, place in np.ndindex(2, VECTORS_PER_ROW):
      vectors = VECTORS.copy()
      vectors[row, place] *= -1
      unused = row == 1 and place >= 2
      self.assertEqual(_loss(mode, _batch(vectors)) == before, unused)

  def test_a_batch_without_vectors(self):
    row = [([1, 7, 8], [9, 2]), ([1, 11], [12, 2])]
    packed = {k: v[None] for k, v in packing.pack(row, CAPACITY, 4).items()}
    losses = [loss for q, a in row for loss in _alone('', q, a, (), ())]
    for mode in ('add_norm_matched', 'scale_and_bias'):
      for count in (0, 1):
        batch = {
          **packed,
          'vectors': np.zeros((1, count, 12), np.float32),
          'vector_blocks': np.zeros((1, count), np.int32),
        }
        self.assertAlmostEqual(_loss(mode, batch), np.mean(losses), places=5)

  def test_padding_says_nothing(self):
    batch = _batch()
    padded = {**batch, 'tokens': batch['tokens'].copy()}
    padded['tokens'][padded['segments'] == 0] = 33
    mode = injection_lib.MODES[0]
    self.assertEqual(_loss(mode, padded), _loss(mode, batch))

  def test_no_logits_are_formed_but_of_answers(self):
    batch, shown = _batch(), []
    unembed = decoder.unembed

    def spy(model, hidden):
      shown.append(hidden.shape)
      return unembed(model, hidden)

    with mock.patch.object(decoder, 'unembed', spy):
      train_step.answer_loss(MODEL, _injection('replace_embedding'), batch)
    self.assertEqual(shown, [(2, ANSWERS, MODEL.config.width)])

  def test_a_batch_without_answers_has_no_loss(self):
    batch = _batch()
    batch['answers'] = np.full_like(batch['answers'], -1)
    self.assertEqual(_loss(injection_lib.MODES[0], batch), 0.0)


def _state(model, injection, optimizer):
  """A state of copies, since a step donates its own."""
  trained = train_step.Trained(model, injection.parameters)
  return state_lib.start(jax.tree.map(jnp.copy, trained), optimizer)


class StepTest(absltest.TestCase):
  def test_descends_on_both_losses_in_the_weights_given(self):
    injection = _injection('scale_and_bias')
    random = np.random.default_rng(1)
    replay = {
      'tokens': random.integers(0, 40, (2, 8)).astype(np.int32),
      'weights': random.uniform(size=(2, 8)).astype(np.float32),
    }
    batch = _batch()

    @jax.jit
    def losses(trained):
      model, learnt = train_step.assemble(trained, injection)
      explained = train_step.answer_loss(model, learnt, batch)
      return explained, language_modelling.loss(model, replay)

    rate, weight = 3e-5, 2.0
    optimizer = optax.sgd(rate)
    step = train_step.make_step(optimizer, injection, weight)
    state = _state(MODEL, injection, optimizer)
    before = losses(state.model)
    state, metrics = step(state, {**batch, 'replay': replay})
    after = losses(state.model)
    self.assertAlmostEqual(float(metrics['loss']), float(before[0]), places=5)
    self.assertAlmostEqual(
      float(metrics['replay_loss']), float(before[1]), places=5
    )
    # Only along the gradient of the sum does the sum fall by its squared norm.
    fall = before[0] - after[0] + weight * (before[1] - after[1])
    expected = rate * float(metrics['gradient_norm']) ** 2
    self.assertAlmostEqual(float(fall) / expected, 1.0, delta=0.05)

  def test_what_is_learnt_about_vectors_is_trained_with_the_model(self):
    injection, batch = _injection('scale_and_bias'), _batch()
    frozen = freezing.Frozen(('gate', 'up', 'down'), 1)
    optimizer = optimizer_lib.make(OPTIMIZER, 20, frozen)
    step = train_step.make_step(optimizer, injection, 0.0)
    state = _state(MODEL, injection, optimizer)
    before = jax.device_get(state.model)
    losses = []
    for _ in range(8):
      state, metrics = step(state, batch)
      losses.append(float(metrics['loss']))
    self.assertLess(losses[-1], 0.7 * losses[0])
    after = jax.device_get(state.model)
    for name, old, new in zip(
      checkpoints.leaf_names(before),
      jax.tree.leaves(before),
      jax.tree.leaves(after),
      strict=True,
    ):
      stacked = name.startswith(('model.layers.', 'injection.'))
      for i, (a, b) in enumerate(zip(old, new) if stacked else [(old, new)]):
        held = name.rsplit('.', 1)[-1] in frozen.names and i == 0
        self.assertEqual(np.array_equal(a, b), held, f'{name} {i}')

  def test_projections_go_by_muon_and_the_rest_by_adam(self):
    injection, batch = _injection('scale_and_bias'), _batch()
    optimizer = optimizer_lib.make(
      ml_collections.ConfigDict({**OPTIMIZER, 'weight_decay': 0.0}), 20
    )
    step = train_step.make_step(optimizer, injection, 0.0)
    state = _state(MODEL, injection, optimizer)
    state, _ = step(state, batch)  # The rate of the first step is 0.
    state, _ = step(state, batch)
    moved = {
      name: np.asarray(value) - VALUES[name]
      for name, value in state.model.injection.arrays().items()
    }
    for block in moved['projection']:
      # Orthogonal, but only over the few directions that were shown.
      values = np.linalg.svd(block, compute_uv=False)
      values = values[values > 1e-2 * values.max()]
      self.assertBetween(len(values), 2, 5)
      self.assertLess(values.max() / values.min(), 3)
    for name in ('scale', 'bias'):
      size = np.abs(moved[name])
      np.testing.assert_allclose(size, size.mean(), 0.05, err_msg=name)


class LoraTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.mesh = mesh_lib.make_mesh()
    cls.enterClassContext(jax.set_mesh(cls.mesh))
    # Of a size that nothing else in this process has.
    shape = tiny.config(layers=3, width=24, mlp_width=56, vocabulary=44)
    cls.base = decoder.initialize(shape, jax.random.key(0), cls.mesh)
    cls.injection = injection_lib.make(
      'scale_and_bias',
      cls.base,
      VECTOR,
      layer_blocks=BLOCKS,
      projection_CxExD=RNG.normal(size=(2, 24, 12)),
    )
    cls.optimizer = optimizer_lib.make(OPTIMIZER, 20)
    cls.step = staticmethod(
      train_step.make_step(cls.optimizer, cls.injection, 0.0, cls.base)
    )

  def _start(self):
    adapter = lora.initialize(self.base, 2, jax.random.key(1), self.mesh)
    return _state(adapter, self.injection, self.optimizer)

  def _logits(self):
    """What the target says: the base, with the adapter off."""
    hidden, _ = jax.jit(decoder.forward)(self.base, _batch()['tokens'])
    return np.asarray(decoder.unembed(self.base, hidden))

  def test_there_is_one_base_and_it_is_the_target(self):
    before, logits = jax.device_get(self.base), self._logits()
    shapes = {
      getattr(self.base.layers, name).get_value().shape
      for name in lora.MATRICES
    }

    def copies():
      gc.collect()
      return sum(x.shape in shapes for x in jax.live_arrays())

    bases = copies()
    state = self._start()
    for _ in range(3):
      state, _ = self.step(state, _batch())
    self.assertEqual(copies(), bases)
    base = {id(leaf) for leaf in jax.tree.leaves(self.base)}
    for leaf in jax.tree.leaves(state):
      self.assertNotIn(id(leaf), base)
      self.assertNotIn(leaf.shape, shapes)
    for leaf in jax.tree.leaves(self.base):
      self.assertFalse(leaf.is_deleted())
    jax.tree.map(
      np.testing.assert_array_equal, jax.device_get(self.base), before
    )
    np.testing.assert_array_equal(self._logits(), logits)

  def test_projections_are_trained_in_full_rank(self):
    learnt = jax.device_get(self.injection.parameters.arrays())
    state = self._start()
    for _ in range(3):
      state, _ = self.step(state, _batch())
    for name, value in state.model.injection.arrays().items():
      moved = np.asarray(value) - learnt[name]
      self.assertTrue(np.all(np.any(moved.reshape(2, -1), 1)), name)
      if name == 'projection':
        ranks = np.linalg.matrix_rank(moved, tol=1e-5)
        np.testing.assert_array_equal(ranks, [12, 12])

  def test_parts_change_no_step(self):
    batch = {**_batch(), 'replay': {'tokens': _batch()['tokens']}}
    weights = RNG.uniform(size=batch['tokens'].shape)
    batch['replay']['weights'] = weights.astype(np.float32)
    optimizer = optax.sgd(0.5)
    found = []
    for parts in (1, 2):
      step = train_step.make_step(
        optimizer, self.injection, 0.3, self.base, parts
      )
      adapter = lora.initialize(self.base, 2, jax.random.key(1), self.mesh)
      found.append(step(_state(adapter, self.injection, optimizer), batch))
    for name, value in found[0][1].items():
      np.testing.assert_allclose(found[1][1][name], value, 1e-6, err_msg=name)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6),
      *(jax.tree.leaves(state.model) for state, _ in found),
    )

  def test_is_asked_with_the_adapter_merged(self):
    state = self._start()
    for _ in range(3):
      state, _ = self.step(state, _batch())
    model, injection = train_step.assemble(
      state.model, self.injection, self.base
    )
    asked = train_step.compiled_answer_loss(model, injection, _batch())
    _, metrics = self.step(state, _batch())
    self.assertAlmostEqual(float(asked), float(metrics['loss']), places=5)


if __name__ == '__main__':
  absltest.main()
