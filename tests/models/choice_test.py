# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the choice of a token against sorting."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import choice


class ChoiceTest(parameterized.TestCase):
  @parameterized.parameters(2, 41, 128, 622, 1152)
  def test_is_the_first_of_the_highest(self, size):
    random = np.random.default_rng(size)
    # With many that are equal, and then with none.
    for logits in (
      random.integers(-3, 3, (50, size)).astype(np.float32),
      random.normal(size=(50, size)).astype(np.float32) - 5,
    ):
      made = jax.jit(choice.choose)(logits)
      ordered = np.sort(logits, 1)
      np.testing.assert_array_equal(made.token, logits.argmax(1))
      np.testing.assert_array_equal(made.logit, ordered[:, -1])
      np.testing.assert_array_equal(
        made.margin, ordered[:, -1] - ordered[:, -2]
      )

  def test_runner_up_in_the_same_block_and_in_another(self):
    for place in (1, 127, 128, 255):
      logits = np.zeros((1, 256), np.float32)
      logits[0, 0], logits[0, place] = 5, 3
      made = choice.choose(logits)
      self.assertEqual((int(made.token[0]), float(made.margin[0])), (0, 2.0))

  def test_what_is_not_a_number_shows(self):
    logits = np.zeros((1, 256), np.float32)
    logits[0, 200] = np.nan
    made = choice.choose(logits)
    self.assertTrue(np.isnan(made.logit[0]))
    self.assertBetween(int(made.token[0]), 0, 255)

  @parameterized.parameters(1, 8, 5)
  def test_blocks_of_a_vocabulary_that_is_split(self, ways):
    """In 8 parts of 144 blocks have 16; 5 do not divide it, and it is whole."""
    logits = np.random.default_rng(0).normal(size=(20, 1152))
    logits = logits.astype(np.float32)
    with mock.patch.object(axis_rules, 'ways', lambda axis: ways):
      made = jax.make_jaxpr(lambda x: choice.choose(x))(logits)
      found = choice.choose(logits)
    block = {1: 128, 8: 16, 5: 128}[ways]
    self.assertIn(f'f32[20,{1152 // block},{block}]', str(made))
    np.testing.assert_array_equal(found.token, logits.argmax(1))


if __name__ == '__main__':
  absltest.main()
