# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of means over blocks of layers against the slow decoder."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax.interventions import block_means
from tests.models import oracle
from tests.models import tiny

MODEL = tiny.model(layers=3)
TOKENS = np.random.default_rng(0).integers(40, size=(2, 5)).astype(np.int32)


class BlockMeansTest(absltest.TestCase):
  def test_means_are_those_of_the_layers(self):
    # Blocks may overlap.
    blocks = np.array([(0, 0), (0, 2), (1, 2)], np.int32)
    found = block_means.means(MODEL, TOKENS, blocks, 'resid_post')
    self.assertEqual(found.shape, (3, 2, 5, MODEL.config.width))
    self.assertEqual(found.dtype, np.float32)
    for row, ids in enumerate(TOKENS):
      _, sites = oracle.forward(MODEL, ids)
      for n, (first, last) in enumerate(blocks):
        expected = np.mean(
          [sites['resid_post', i] for i in range(first, last + 1)], 0
        )
        np.testing.assert_allclose(found[n, row], expected, 0, 1e-4)

  def test_another_site_has_other_means(self):
    blocks = np.array([(1, 2)], np.int32)
    found = block_means.means(MODEL, TOKENS, blocks, 'resid_pre')
    _, sites = oracle.forward(MODEL, TOKENS[1])
    expected = (sites['resid_pre', 1] + sites['resid_pre', 2]) / 2
    np.testing.assert_allclose(found[0, 1], expected, 0, 1e-4)


if __name__ == '__main__':
  absltest.main()
