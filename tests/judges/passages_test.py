# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of passages against sorting everything at once."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax.judges import passages
from selfexplain_jax.tasks import labels

_RNG = np.random.default_rng(0)
# Feature 3 is never active, and feature 4 almost always.
_SHARE = np.array([0.02, 0.05, 0.1, 0, 0.9])
_TOKENS = _RNG.integers(0, 99, (40, 6)).astype(np.int32)
_FIRES = _RNG.random((40, 6, 5)) * (_RNG.random((40, 6, 5)) < _SHARE)
_FIRES[7:9] = _FIRES[6]  # As active as others are.


def _collect(size, most=0, seed=0):
  batches = (
    labels.Batch(_TOKENS[i : i + size], _FIRES[i : i + size])
    for i in range(0, 40, size)
  )
  return passages.collect(batches, most=most, active=4, silent=3, seed=seed)


class PassagesTest(absltest.TestCase):
  def test_the_most_active_documents_come_first(self):
    found = _collect(16)
    np.testing.assert_array_equal(found.tokens, _TOKENS)
    np.testing.assert_array_equal(found.features, np.arange(5))
    self.assertEqual(found.total, 5)
    fires = _FIRES.astype(np.float32)
    fires[:, 0] = 0
    for f in range(5):
      peak = fires[:, :, f].max(1)
      order = np.argsort(-peak, kind='stable')[:4]
      expected = np.where(peak[order] > 0, order, -1)
      np.testing.assert_array_equal(found.active[f], expected)
      for place, document in enumerate(expected):
        row = fires[document, :, f] if document >= 0 else np.zeros(6)
        np.testing.assert_array_equal(found.activations[f, place], row)

  def test_silent_documents_are_silent(self):
    found = _collect(16)
    self.assertEqual((found.silent[3] >= 0).sum(), 3)
    drawn = set()
    for f in range(5):
      kept = found.silent[f][found.silent[f] >= 0]
      self.assertLen(set(kept.tolist()), len(kept))
      self.assertFalse(_FIRES[kept, 1:, f].any())
      silent = (_FIRES[:, 1:, f].max(1) == 0).sum()
      self.assertLen(kept, min(3, silent))
      drawn.add(tuple(kept))
    self.assertLen(drawn, 5)
    self.assertFalse(np.array_equal(_collect(16, seed=1).silent, found.silent))

  def test_batches_change_nothing(self):
    for size in (1, 7, 40):
      for name, value in vars(_collect(size)).items():
        np.testing.assert_array_equal(value, vars(_collect(16))[name])

  def test_some_features_are_as_they_are_among_all(self):
    whole, some = _collect(16), _collect(16, most=2)
    self.assertLen(some.features, 2)
    self.assertEqual(some.total, 5)
    for name in ('active', 'activations', 'silent'):
      expected = vars(whole)[name][some.features]
      np.testing.assert_array_equal(vars(some)[name], expected)
    self.assertLen(_collect(16, most=9).features, 5)

  def test_no_documents(self):
    found = passages.collect([], most=0, active=4, silent=3, seed=0)
    self.assertEqual((found.total, found.active.shape), (0, (0, 4)))


if __name__ == '__main__':
  absltest.main()
