# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the running best documents against sorting all at once."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.dictionary import exemplars
from tests.dictionary import fixtures
from tests.models import oracle
from tests.models import tiny


def _sorted(highest_NxF: np.ndarray, k: int):
  """Values and documents, one feature after the other; ties by document."""
  values, documents = [], []
  for column in highest_NxF.T:
    best = sorted(range(len(column)), key=lambda n: (-column[n], n))
    best = [n for n in best if column[n] > 0][:k]
    rest = k - len(best)
    values.append([column[n] for n in best] + [0.0] * rest)
    documents.append(best + [-1] * rest)
  return np.array(values), np.array(documents)


class ExemplarsTest(parameterized.TestCase):
  @parameterized.parameters((1, 3), (4, 5), (30, 3))
  def test_agrees_with_sorting_everything(self, k, batch):
    random = np.random.default_rng(k)
    count, length, features = 20, 6, 9
    # Few different values, so that many are equal; the last never fires.
    made = random.integers(0, 4, (count, length, features)).astype(np.float32)
    made[..., -1] = 0
    made[:17, :, 0] = 0
    seen = random.random((count, length)) < 0.6
    best = exemplars.start(features, k)
    for start in range(0, count, batch):
      rows = np.arange(start, min(start + batch, count), dtype=np.int32)
      best = exemplars.update(best, made[rows], seen[rows], rows)
    value, document = _sorted(np.where(seen[..., None], made, 0).max(1), k)
    np.testing.assert_array_equal(best.value, value)
    np.testing.assert_array_equal(best.document, document)
    self.assertIn(-1, document)

  def test_finds_them_in_a_model(self):
    model, random = tiny.model(layers=3), np.random.default_rng(0)
    sae = fixtures.random_sae(model.config.width, 20)
    tokens = random.integers(0, 40, (7, 6)).astype(np.int32)
    length = np.array([6, 4, 6, 5, 6, 2, 6], np.int32)
    features = np.array([3, 17, 5])
    highest = np.zeros((7, 3))
    for n in range(7):
      _, sites = oracle.forward(model, tokens[n, : length[n]])
      rows = sites['resid_post', 1][1:]
      codes = [fixtures.slow_features(sae, row)[features] for row in rows]
      highest[n] = np.max(codes, 0)
    value, document = _sorted(highest, 2)
    best = exemplars.find(
      model, sae, 'resid_post', 1, features, tokens, length, k=2, batch=3
    )
    np.testing.assert_array_equal(best.document, document)
    np.testing.assert_allclose(best.value, value, 0, 1e-4)


if __name__ == '__main__':
  absltest.main()
