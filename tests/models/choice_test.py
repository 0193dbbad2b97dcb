# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the choice of a token against sorting."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
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

  def test_blocks_are_of_one_device(self):
    if jax.device_count() > 1:
      self.skipTest('of what several devices do tests/distributed tells')
    with jax.set_mesh(mesh_lib.make_mesh()):
      self.assertEqual(axis_rules.ways('activation_vocabulary'), 1)
      made = choice.choose(np.eye(3, 256, dtype=np.float32))
    self.assertEqual(made.token.tolist(), [0, 1, 2])


if __name__ == '__main__':
  absltest.main()
