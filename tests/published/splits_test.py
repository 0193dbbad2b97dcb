# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of which published records count as balanced, and of their order."""

import collections

from absl.testing import absltest

from selfexplain_jax.published import splits

# Of each cell so many unchanged and changed records.
_CELLS = {('test', 'a', '0'): (5, 2), ('test', 'b', '0'): (3, 3)}
_CELLS |= {('train', 'a', '0'): (0, 4), ('test', 'a', '1'): (1, 1)}


def _records():
  return [
    dict(split=split, place=place, treatment=treatment, changed=bool(changed))
    for (split, place, treatment), counts in _CELLS.items()
    for changed, count in enumerate(counts)
    for _ in range(count)
  ]


class SplitsTest(absltest.TestCase):
  def test_as_many_of_either_verdict_count(self):
    made = splits.with_balance(_records())
    self.assertEqual(
      [dict(r, balanced=0) for r in made],
      [dict(r, balanced=0) for r in _records()],
    )
    kept = collections.Counter(
      (r['split'], r['place'], r['treatment'], r['changed'])
      for r in made
      if r['balanced']
    )
    for cell, (unchanged, changed) in _CELLS.items():
      even = min(unchanged, changed)
      self.assertEqual((kept[*cell, False], kept[*cell, True]), (even, even))

  def test_the_order_is_not_that_of_the_files(self):
    records = [dict(n=n) for n in range(100)]
    order = [r['n'] for r in splits.shuffled(records)]
    self.assertCountEqual(order, range(100))
    self.assertEqual(order, [r['n'] for r in splits.shuffled(records)])
    # The first ones are from everywhere.
    self.assertBetween(sum(order[:50]) / 50, 40, 60)


if __name__ == '__main__':
  absltest.main()
