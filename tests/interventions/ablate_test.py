# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of spans that are removed or replaced."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax.interventions import ablate


class AblateTest(parameterized.TestCase):
  @parameterized.parameters(
    # Removed: in the middle, at either end, all but one.
    (1, 3, (), [1, 4, 5]),
    (0, 1, (), [2, 3, 4, 5]),
    (4, 5, (), [1, 2, 3, 4]),
    (1, 5, (), [1]),
    # Replaced by as many, by fewer and by more; everything by something.
    (1, 3, (8, 9), [1, 8, 9, 4, 5]),
    (1, 3, (8,), [1, 8, 4, 5]),
    (2, 3, (7, 8, 9), [1, 2, 7, 8, 9, 4, 5]),
    (0, 5, (6,), [6]),
  )
  def test_by_hand(self, start, end, replacement, expected):
    ids = [1, 2, 3, 4, 5]
    self.assertEqual(ablate.ablate(ids, start, end, replacement), expected)
    self.assertEqual(ids, [1, 2, 3, 4, 5])

  @parameterized.parameters((2, 2), (3, 2), (-1, 2), (0, 6), (5, 6), (0, 0))
  def test_refuses_a_span_that_is_empty_or_outside(self, start, end):
    with self.assertRaisesRegex(ValueError, f'span {start}:{end} of a prompt'):
      ablate.ablate([1, 2, 3, 4, 5], start, end)

  def test_refuses_to_leave_nothing(self):
    with self.assertRaisesRegex(ValueError, 'no token'):
      ablate.ablate([1, 2], 0, 2)


if __name__ == '__main__':
  absltest.main()
