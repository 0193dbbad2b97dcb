# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of detection and fuzzing on features with a known answer."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.fidelity import detection


def _marks(sequences, tokens, firing, seed):
  """Returns marks in the first `firing` sequences, at least one in each."""
  rng = np.random.default_rng(seed)
  marks = np.zeros((sequences, tokens), bool)
  marks[:firing] = rng.random((firing, tokens)) < 0.1
  marks[np.arange(firing), rng.integers(tokens, size=firing)] = True
  return marks


class DetectionTest(parameterized.TestCase):
  def test_right_wrong_and_empty_descriptions(self):
    # Few fire: what never holds would be right in 170 of 200.
    marks = _marks(200, 20, 30, 1)
    shuffled = np.random.default_rng(2).permutation(marks)
    predicted = np.stack(
      [marks, ~marks, shuffled, np.zeros_like(marks), np.ones_like(marks)]
    )
    real = np.stack([0.01 * marks] * 5)
    found = detection.detection_accuracy(real, predicted)
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], [1, 0.5, 0.5, 0.5])
    self.assertLess(abs(found[2] - 0.5), 0.15)
    # Exactly the other sequences.
    other = np.zeros_like(marks)
    other[30:, 3] = True
    self.assertEqual(detection.detection_accuracy(0.1 * marks, other), 0)

  def test_by_hand(self):
    real = np.array([[0, 0.2, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    # Right in one of two that fire, elsewhere in it; in two of three others.
    said = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0.6, 0], [0.5] * 3])
    found = detection.detection_accuracy(real, said)
    self.assertAlmostEqual(float(found), (1 / 2 + 2 / 3) / 2)

  def test_without_both_kinds_of_sequences_it_is_undefined(self):
    real = np.stack([np.zeros((3, 4)), np.ones((3, 4))])
    for predicted in (np.zeros((2, 3, 4)), np.ones((2, 3, 4))):
      found = detection.detection_accuracy(real, predicted)
      self.assertTrue(np.isnan(found).all())

  def test_shapes_are_checked(self):
    ones = np.ones((3, 4, 5))
    with self.assertRaisesRegex(errors.InputError, 'one shape'):
      detection.detection_accuracy(ones, ones[0])
    with self.assertRaisesRegex(errors.InputError, 'one shape'):
      detection.fuzzing_accuracy(ones, ones[:2], [1, 2, 3], 0)


class FuzzingTest(parameterized.TestCase):
  def test_right_wrong_and_empty_descriptions(self):
    marks = _marks(200, 20, 150, 1)
    chance = np.random.default_rng(2).random(marks.shape) < 0.5
    predicted = np.stack(
      [marks, ~marks, chance, np.zeros_like(marks), np.ones_like(marks)]
    )
    real = np.stack([0.01 * marks] * 5)
    found = detection.fuzzing_accuracy(real, predicted, range(5), 0)
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], [1, 0, 0.5, 0.5])
    self.assertLess(abs(found[2] - 0.5), 0.1)

  def test_the_right_sequences_are_not_enough(self):
    # Holds somewhere in just the sequences that fire, but at other tokens.
    real = np.zeros((100, 20))
    real[:50, 3] = 1
    beside = np.roll(real, 1, 1)
    self.assertEqual(detection.detection_accuracy(real, beside), 1)
    self.assertLess(detection.fuzzing_accuracy(real, beside, 0, 0), 0.55)

  @parameterized.parameters(
    ([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], 1.0),  # 2 of 3; 0 of 3
    ([1, 1, 0, 0], [1, 0, 0, 0], 0.5),  # Half is no majority.
    ([1, 1, 0, 0], [0, 0, 1, 1], 0.0),
    ([1, 1, 0, 0], [1, 1, 1, 1], 0.5),
    # Only one other token is left to be marked.
    ([1, 1, 1, 0], [1, 1, 0, 0], 1.0),
    ([1, 1, 1, 0], [1, 1, 0, 1], 0.5),
  )
  def test_by_hand(self, real, said, expected):
    # All other tokens are marked, so that nothing is left to chance.
    found = detection.fuzzing_accuracy(np.array([real]), np.array([said]), 3, 0)
    self.assertEqual(found, expected)

  def test_as_many_wrong_marks_as_right_ones(self):
    # One token fires and one of 50 others is said: it is rarely drawn.
    real, said = np.zeros((2, 3000, 51))
    real[:, 0], said[:, :2] = 1, 1
    found = detection.fuzzing_accuracy(real, said, 0, 0)
    self.assertAlmostEqual(float(found), 1 - 0.5 / 50, delta=0.004)

  def test_sequences_without_either_kind_do_not_count(self):
    real = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]])
    said = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]])
    self.assertEqual(detection.fuzzing_accuracy(real, said, 0, 0), 1)
    self.assertTrue(
      np.isnan(detection.fuzzing_accuracy(real[1:], said[1:], 0, 0))
    )

  def test_draws_depend_on_record_and_seed_alone(self):
    rng = np.random.default_rng(3)
    real = rng.random((6, 40, 20)) * (rng.random((6, 40, 20)) < 0.2)
    said = rng.random((6, 40, 20)) < 0.5
    records = np.array([9, 4, 7, 1, 2, 1000])
    found = detection.fuzzing_accuracy(real, said, records, 5)
    for order in ([3, 1], [5, 4, 3, 2, 1, 0]):
      np.testing.assert_array_equal(
        detection.fuzzing_accuracy(real[order], said[order], records[order], 5),
        found[order],
      )
    self.assertEqual(
      detection.fuzzing_accuracy(real[2], said[2], 7, 5), found[2]
    )
    for others in ((records, 6), (records + 1, 5)):
      changed = detection.fuzzing_accuracy(real, said, *others)
      self.assertFalse(np.array_equal(changed, found))

  def test_records_are_checked(self):
    ones = np.ones((2, 3, 4))
    for records in (0, [1], [1, 2, 3]):
      with self.assertRaisesRegex(errors.InputError, 'one record id a feature'):
        detection.fuzzing_accuracy(ones, ones, records, 0)


if __name__ == '__main__':
  absltest.main()
