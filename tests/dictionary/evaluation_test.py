# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what is measured, against the slow decoder and the slow encoder."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.dictionary import evaluation
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from tests.dictionary import fixtures
from tests.models import oracle
from tests.models import tiny

MODEL = tiny.model(layers=3)
WIDTH, COUNT, LENGTH = MODEL.config.width, 5, 7


def _documents():
  random = np.random.default_rng(0)
  length = np.array([7, 7, 5, 7, 6], np.int32)
  weights = random.choice([0.05, 1.0], (COUNT, LENGTH)).astype(np.float32)
  return evaluation.Documents(
    tokens=random.integers(0, 40, (COUNT, LENGTH)).astype(np.int32),
    length=length,
    weights=np.where(np.arange(LENGTH) < length[:, None], weights, 0.0).astype(
      np.float32
    ),
  )


DOCUMENTS = _documents()


def _slow_rows(layer: int) -> np.ndarray:
  """The activations that count, one document after the other."""
  rows = []
  for tokens, length in zip(DOCUMENTS.tokens, DOCUMENTS.length):
    _, sites = oracle.forward(MODEL, tokens[:length])
    rows.append(sites['resid_post', layer][1:])
  return np.concatenate(rows)


def _slow_loss(layer: int, replace) -> float:
  """The loss with every row but BOS replaced at a layer."""

  def edit(site, at, value):
    if (site, at) != ('resid_post', layer):
      return value
    return np.concatenate([value[:1], [replace(row) for row in value[1:]]])

  total = 0.0
  for tokens, length, weights in zip(
    DOCUMENTS.tokens, DOCUMENTS.length, DOCUMENTS.weights
  ):
    logits, _ = oracle.forward(MODEL, tokens[:length], edit)
    for at in range(1, length):
      row = logits[at - 1] - logits[at - 1].max()
      loss = np.log(np.exp(row).sum()) - row[tokens[at]]
      total += float(weights[at]) * loss
  return total / float(DOCUMENTS.weights[:, 1:].sum())


def _evaluate(dictionaries, batch=2):
  return evaluation.evaluate(
    MODEL, dictionaries, 'resid_post', DOCUMENTS, batch
  )


class EvaluationTest(parameterized.TestCase):
  @parameterized.parameters((0, None), (2, 3))
  def test_agrees_with_the_slow_one(self, layer, k):
    sae = fixtures.random_sae(WIDTH, 20, k)
    # Some that fire seldom or never.
    bias = sae.encoder_bias_S.at[:8].add(-jnp.arange(8.0) * 6)
    sae = dataclasses.replace(sae, encoder_bias_S=bias)
    found = _evaluate({layer: sae})[layer]
    rows = _slow_rows(layer)
    codes = np.array([fixtures.slow_features(sae, row) for row in rows])
    made = np.array([fixtures.slow_decode(sae, code) for code in codes])
    self.assertEqual(found['rows'], len(rows))
    self.assertAlmostEqual(found['l0'], (codes > 0).sum(1).mean(), delta=1e-6)
    dead = np.mean((codes > 0).sum(0) == 0)
    self.assertGreater(dead, 0)
    self.assertAlmostEqual(found['dead_share'], dead)
    variance = np.sum((rows - rows.mean(0)) ** 2)
    self.assertAlmostEqual(
      found['variance_explained'],
      1 - np.sum((rows - made) ** 2) / variance,
      delta=1e-4,
    )

    def splice(row):
      return fixtures.slow_decode(sae, fixtures.slow_features(sae, row))

    losses = {
      'clean_loss': _slow_loss(layer, lambda row: row),
      'spliced_loss': _slow_loss(layer, splice),
      'mean_ablated_loss': _slow_loss(layer, lambda row: rows.mean(0)),
    }
    for name, loss in losses.items():
      self.assertAlmostEqual(found[name], loss, delta=1e-3)
    self.assertLen(set(np.round(list(losses.values()), 2)), 3)
    clean, spliced, ablated = losses.values()
    self.assertAlmostEqual(
      found['loss_recovered'],
      (ablated - spliced) / (ablated - clean),
      delta=0.01,
    )

  def test_perfect_and_empty_dictionaries(self):
    eye, none = np.eye(WIDTH, dtype=np.float32), np.zeros(2 * WIDTH, np.float32)
    perfect = sae_lib.SparseAutoencoder(
      encoder_DxS=jnp.concatenate([eye, -eye], 1),
      encoder_bias_S=jnp.asarray(none),
      decoder_SxD=jnp.concatenate([eye, -eye]),
      decoder_bias_D=jnp.zeros(WIDTH),
      threshold_S=jnp.asarray(none),
    )
    empty = dataclasses.replace(
      perfect,
      threshold_S=jnp.asarray(none + 1e9),
      decoder_bias_D=jnp.asarray(_slow_rows(1).mean(0), jnp.float32),
    )
    found = _evaluate({0: perfect, 1: empty})
    self.assertAlmostEqual(found[0]['variance_explained'], 1, delta=1e-6)
    self.assertAlmostEqual(found[0]['loss_recovered'], 1, delta=1e-4)
    self.assertEqual(found[0]['l0'], WIDTH)
    self.assertAlmostEqual(found[1]['variance_explained'], 0, delta=1e-4)
    self.assertAlmostEqual(found[1]['loss_recovered'], 0, delta=1e-3)
    self.assertEqual((found[1]['l0'], found[1]['dead_share']), (0, 1))

  def test_figures_do_not_depend_on_the_batch(self):
    sae = fixtures.random_sae(WIDTH, 20)
    found = [_evaluate({1: sae}, batch)[1] for batch in (2, 5)]
    for name, value in found[0].items():
      np.testing.assert_allclose(value, found[1][name], 1e-5, err_msg=name)


if __name__ == '__main__':
  absltest.main()
