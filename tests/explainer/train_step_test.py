# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the explainer's loss against one example at a time."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np
import optax

from selfexplain_jax.data import packing
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import state as state_lib
from tests.models import oracle
from tests.models import tiny

VECTOR, NORM, BLOCK, CAPACITY, PER_ROW = 6, 2.5, 1, 24, 3
MODEL = tiny.model(layers=2)
# The rows of a batch; the second has room for another example.
ROWS = (
  (
    ([1, 7, VECTOR, 8], [9, 2]),
    ([1, VECTOR, 11], [12, 13, 14, 2]),
    ([1, 15, 16, VECTOR, 18], [2]),
  ),
  (
    ([1, VECTOR, 20, 21], [22, 2]),
    ([1, 23, VECTOR], [25, 26, 27, 2]),
  ),
)
VECTORS = np.random.default_rng(0).normal(size=(2, PER_ROW, 16)) * 3


def _batch(vectors=VECTORS):
  packed = [packing.pack(row, CAPACITY) for row in ROWS]
  batch = {name: np.stack([p[name] for p in packed]) for name in packed[0]}
  return {**batch, 'vectors': vectors.astype(np.float32)}


def _loss(mode, batch):
  injection = injection_lib.Injection(mode, VECTOR, NORM, BLOCK)
  return float(jax.jit(train_step.answer_loss)(MODEL, injection, batch))


def _show(mode, here, vector, site, layer, x):
  """Shows a vector, as an edit of the oracle."""
  direction = vector / np.linalg.norm(vector)
  if mode == 'add_norm_matched':
    if (site, layer) == ('resid_post', BLOCK):
      x[here] += direction * np.linalg.norm(x[here])
  elif site == 'embed':
    scaled = mode == 'replace_embedding_scaled'
    x[here] = direction * NORM if scaled else vector
  return x


def _alone(mode, question, answer, vector):
  """Returns the losses of the answer tokens of one example, in float64."""
  ids = np.array([*question, *answer], np.int32)
  shown = functools.partial(_show, mode, ids == VECTOR, vector)
  logits, _ = oracle.forward(MODEL, ids, shown)
  said = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  start = len(question)
  return [-said[start + i - 1, token] for i, token in enumerate(answer)]


class AnswerLossTest(parameterized.TestCase):
  @parameterized.parameters(*injection_lib.MODES)
  def test_is_the_mean_over_answer_tokens_one_example_at_a_time(self, mode):
    losses = [
      loss
      for row, vectors in zip(ROWS, VECTORS, strict=True)
      for example, vector in zip(row, vectors, strict=False)
      for loss in _alone(mode, *example, vector)
    ]
    self.assertLen(losses, 13)
    self.assertAlmostEqual(
      _loss(mode, _batch()), sum(losses) / len(losses), places=5
    )

  def test_every_vector_matters_but_that_of_no_example(self):
    mode = injection_lib.MODES[0]
    before = _loss(mode, _batch())
    for row, place in np.ndindex(2, PER_ROW):
      vectors = VECTORS.copy()
      vectors[row, place] *= -1
      unused = (row, place) == (1, 2)
      self.assertEqual(_loss(mode, _batch(vectors)) == before, unused)

  def test_padding_says_nothing(self):
    batch = _batch()
    padded = {**batch, 'tokens': batch['tokens'].copy()}
    padded['tokens'][padded['segments'] == 0] = 33
    mode = injection_lib.MODES[0]
    self.assertEqual(_loss(mode, padded), _loss(mode, batch))

  def test_a_batch_without_answers_has_no_loss(self):
    batch = _batch()
    batch['weights'] = np.zeros_like(batch['weights'])
    self.assertEqual(_loss(injection_lib.MODES[0], batch), 0.0)


class StepTest(absltest.TestCase):
  def test_descends_on_both_losses_in_the_weights_given(self):
    injection = injection_lib.Injection(injection_lib.MODES[1], VECTOR, NORM)
    random = np.random.default_rng(1)
    replay = {
      'tokens': random.integers(0, 40, (2, 8)).astype(np.int32),
      'weights': random.uniform(size=(2, 8)).astype(np.float32),
    }
    batch = _batch()

    @jax.jit
    def losses(model):
      explained = train_step.answer_loss(model, injection, batch)
      return explained, language_modelling.loss(model, replay)

    rate, weight = 3e-5, 2.0
    optimizer = optax.sgd(rate)
    step = train_step.make_step(optimizer, injection, weight)
    # The step donates its state, so it gets a model of its own.
    state = state_lib.start(tiny.model(layers=2), optimizer)
    state, metrics = step(state, {**batch, 'replay': replay})
    before, after = losses(MODEL), losses(state.model)
    self.assertAlmostEqual(float(metrics['loss']), float(before[0]), places=5)
    self.assertAlmostEqual(
      float(metrics['replay_loss']), float(before[1]), places=5
    )
    # Only along the gradient of the sum does the sum fall by its squared norm.
    fall = before[0] - after[0] + weight * (before[1] - after[1])
    expected = rate * float(metrics['gradient_norm']) ** 2
    self.assertAlmostEqual(float(fall) / expected, 1.0, delta=0.05)


if __name__ == '__main__':
  absltest.main()
