# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of chance that depends on names."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import chance


class ChanceTest(parameterized.TestCase):
  def test_fractions_are_uniform_and_depend_on_every_part(self):
    drawn = np.array([chance.fraction(0, 'a', n) for n in range(2000)])
    counts, _ = np.histogram(drawn, 10, (0, 1))
    self.assertBetween(counts.min(), 150, 250)
    self.assertBetween(counts.max(), 150, 250)
    self.assertEqual(chance.fraction(0, 'a', 3), drawn[3])
    self.assertNotEqual(chance.fraction(1, 'a', 3), drawn[3])
    self.assertNotEqual(chance.fraction(0, 'b', 3), drawn[3])

  def test_order_does_not_depend_on_what_else_there_is(self):
    every = chance.in_order(range(50), lambda n: n, 0)
    some = chance.in_order(range(20), lambda n: n, 0)
    self.assertEqual([n for n in every if n < 20], some)
    self.assertNotEqual(some, sorted(some))

  def test_generators_differ_by_their_names(self):
    first, again, other = (
      chance.generator(0, name).random() for name in ('a', 'a', 'b')
    )
    self.assertEqual(first, again)
    self.assertNotEqual(first, other)

  def test_splits_have_their_shares(self):
    shares = dict(validation=0.1, test=0.3)
    found = [chance.split(0, str(n), shares) for n in range(2000)]
    self.assertBetween(found.count('validation'), 150, 250)
    self.assertBetween(found.count('test'), 520, 680)
    self.assertEqual(set(found), {'train', 'validation', 'test'})

  @parameterized.parameters((0, 0.1), (0.1, -1), (0.5, 0.5))
  def test_refuses_shares_that_leave_a_split_empty(self, validation, test):
    with self.assertRaisesRegex(errors.InputError, 'config.shares is'):
      chance.check_shares(dict(validation=validation, test=test))


if __name__ == '__main__':
  absltest.main()
