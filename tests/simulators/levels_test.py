# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of levels against the slow decoder, and by hand."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax.simulators import conventions
from selfexplain_jax.simulators import levels
from tests.models import oracle
from tests.models import tiny

_IDS = tuple(range(5, 16))
_LOSS = jax.jit(levels.loss, static_argnums=2)


def _batch():
  rng = np.random.default_rng(3)
  prompts = [[1, 2, 3], [1], [1, 4]]
  documents = rng.integers(0, 40, (3, 4)).astype(np.int32)
  tokens, start = conventions.rows(prompts, documents, 9)
  said = rng.integers(0, 11, (3, 4)).astype(np.int32)
  said[:, 0] = said[1, 2] = levels.IGNORED
  return {'tokens': tokens, 'start': start, 'levels': said}


def _expected(model, batch):
  """Logits of the levels by the slow decoder, one row without padding."""
  rows = []
  for tokens, start in zip(batch['tokens'], batch['start'], strict=True):
    logits, _ = oracle.forward(model, tokens[: start + 4])
    rows.append(logits[start : start + 4][:, list(_IDS)])
  return np.stack(rows)


class LevelsTest(parameterized.TestCase):
  def test_of_activations(self):
    activations = np.array(
      [[[0, 0.1, 5, 10], [9.01, 0, 1, 1.01]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
    )
    found = levels.of(activations)
    np.testing.assert_array_equal(found[0], [[0, 1, 5, 10], [10, 0, 1, 2]])
    np.testing.assert_array_equal(found[1], np.zeros((2, 4)))
    self.assertEqual(found.dtype, np.int32)

  @parameterized.parameters(True, False)
  def test_logits_are_read_at_the_tokens_themselves(self, tied):
    model, batch = tiny.model(layers=2, tied=tied), _batch()
    found = jax.jit(levels.logits, static_argnums=(3, 4))(
      model, batch['tokens'], batch['start'], 4, _IDS
    )
    np.testing.assert_allclose(found, _expected(model, batch), atol=1e-4)
    self.assertEqual(model.config.vocabulary, model.embedding[...].shape[0])

  def test_loss_is_over_tokens_that_count(self):
    model, batch = tiny.model(layers=2), _batch()
    logits = _expected(model, batch)
    total = count = 0
    for row, wanted in zip(logits, batch['levels'], strict=True):
      for said, level in zip(row, wanted, strict=True):
        if level != levels.IGNORED:
          total += np.log(np.exp(said).sum()) - said[level]
          count += 1
    self.assertEqual(count, 8)
    found = _LOSS(model, batch, _IDS)
    self.assertAlmostEqual(float(found), total / count, places=4)

  def test_a_tied_embedding_learns_as_both(self):
    model, batch = tiny.model(layers=2, tied=True), _batch()
    gradient = jax.jit(jax.grad(levels.loss), static_argnums=2)(
      model, batch, _IDS
    ).embedding[...]
    moved = np.flatnonzero(np.abs(np.asarray(gradient)).max(1) > 0)
    self.assertContainsSubset(_IDS, moved.tolist())
    self.assertIn(2, moved)  # Which is read, and no level.


if __name__ == '__main__':
  absltest.main()
