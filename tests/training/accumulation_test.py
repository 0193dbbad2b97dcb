# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of batches in parts."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.training import accumulation


class AccumulationTest(absltest.TestCase):
  def test_parts_hold_each_row_once(self):
    batch = {'a': np.arange(12).reshape(6, 2), 'b': {'c': np.arange(6)}}
    cut = accumulation.split(batch, 3)
    np.testing.assert_array_equal(cut['a'], batch['a'].reshape(3, 2, 2))
    np.testing.assert_array_equal(cut['b']['c'], batch['b']['c'].reshape(3, 2))

  def test_the_total_is_a_sum(self):
    batch = np.arange(8, dtype=np.float32)
    for parts in (1, 2, 8):
      found = accumulation.total(lambda x: {'sum': (x**2).sum()}, batch, parts)
      self.assertEqual(float(found['sum']), 140.0)

  def test_what_is_no_multiple_is_refused(self):
    accumulation.check(2, batch=4, other=0)
    with self.assertRaisesRegex(
      errors.InputError, r'config.replay.batch is 3: expected a multiple of'
    ):
      accumulation.check(2, **{'batch': 4, 'replay.batch': 3})


if __name__ == '__main__':
  absltest.main()
