# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of how agreement with a reference is measured."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.validation import agreement
from tests.models import oracle
from tests.models import tiny

MODEL = tiny.model(layers=2)
TOKENS = np.random.default_rng(0).integers(0, 40, (2, 7), np.int32)


def _logits(*rows):
  return np.array([rows], np.float32)


class SitesTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.found = agreement.run(MODEL, TOKENS, sites=True)

  def other(self, name, *at, value=1.0):
    """The activations with one number changed."""
    other = {n: np.array(v) for n, v in self.found.items()}
    other[name][at] += value
    return list(agreement.differences(self.found, other))

  def test_logits_are_those_of_a_slow_forward_pass(self):
    for row, ids in enumerate(TOKENS):
      expected, _ = oracle.forward(MODEL, ids)
      np.testing.assert_allclose(self.found['logits'][row], expected, atol=1e-4)
    self.assertEqual(list(agreement.run(MODEL, TOKENS, False)), ['logits'])

  def test_tensors_come_in_the_order_of_the_forward_pass(self):
    block = ['resid_pre', 'attn_out', 'resid_mid', 'mlp_out', 'resid_post']
    self.assertEqual(
      [d.tensor for d in agreement.differences(self.found, self.found)],
      [
        'embed',
        *(f'{site}[{layer}]' for layer in (0, 1) for site in block),
        'final_norm',
        'logits',
      ],
    )

  def test_the_first_beyond_is_named_and_not_the_worst(self):
    found = self.other('resid_mid', 1, 0, 3, 5)
    first = agreement.first_beyond(found)
    self.assertEqual(first.tensor, 'resid_mid[1]')
    self.assertAlmostEqual(first.absolute, 1.0, places=5)
    self.assertIsNone(agreement.first_beyond(found, 2.0))
    self.assertIsNone(
      agreement.first_beyond(self.other('embed', 0, 0, 0, value=0))
    )

  def test_what_is_no_number_is_beyond_any_bound(self):
    found = self.other('mlp_out', 0, 1, 2, 3, value=np.nan)
    first = agreement.first_beyond(found, 1e9)
    self.assertEqual(first.tensor, 'mlp_out[0]')

  def test_a_difference_is_a_share_of_what_is_large(self):
    large = agreement.Difference('embed', 0, 1.0, 50.0)
    small = agreement.Difference('embed', 0, 1.0, 0.1)
    self.assertEqual((large.share, small.share), (0.02, 1.0))


class DistributionsTest(parameterized.TestCase):
  def test_by_hand(self):
    half, skewed = np.log([0.5, 0.5]), np.log([0.25, 0.75])
    made = agreement.distributions(
      _logits(half, skewed + 3), _logits(half - 1, half), margin=1.0
    )
    divergence = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    self.assertAlmostEqual(made.most, divergence, places=6)
    self.assertAlmostEqual(made.mean, divergence / 2, places=6)

  def test_choices_count_where_they_are_clear(self):
    made = agreement.distributions(
      _logits([0, 1], [0, 1], [3, 0]), _logits([3, 0], [0.5, 0], [3, 0]), 1.0
    )
    self.assertAlmostEqual(made.top_1, 1 / 3)
    self.assertEqual((made.clear, made.clear_wrong), (2, 1))

  @parameterized.parameters(
    ((1e-3, 1e-2, 0), ''),
    ((2e-2, 2e-2, 0), 'mean KL is 2.00e-02: expected at most 1e-02'),
    ((1e-3, 2e-1, 0), 'largest KL is 2.00e-01: expected at most 1e-01'),
    ((float('nan'), 0, 0), 'mean KL is nan'),
    ((1e-3, 1e-2, 1), 'top-1 differs at 1 of 5 positions'),
  )
  def test_says_what_is_beyond_the_bound(self, figures, expected):
    mean, most, wrong = figures
    made = agreement.Distributions(mean, most, 1.0, 5, wrong)
    said = made.beyond(agreement.Bound(1e-2, 1e-1, 1.0))
    self.assertStartsWith(said, expected)
    self.assertEqual(bool(said), bool(expected))


class GenerationsTest(absltest.TestCase):
  def test_a_row_may_part_at_a_near_tie(self):
    reference = np.array([[1, 2, 3]] * 4)
    ours = np.array([[1, 2, 3], [1, 9, 9], [1, 9, 9], [9, 2, 3]])
    margins = np.array(
      [[1, 1, 1], [1, 1e-5, 1], [1, 1, 1e-5], [1e-5, 1, 1]], np.float32
    )
    self.assertEqual(agreement.generations(ours, reference, margins), (1, 1))


if __name__ == '__main__':
  absltest.main()
