# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of searches for patching sets that are stopped and go on."""

import dataclasses
import pathlib
from unittest import mock

from absl.testing import absltest
import numpy as np

from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.tasks import cells as cells_lib
from tests.tasks import counterfact_makers
from tests.tasks import text_targets


class KeptTest(absltest.TestCase):
  """A search that is stopped goes on where it was."""

  def setUp(self):
    super().setUp()
    self.kept = pathlib.Path(self.create_tempdir().full_path)
    self.usable = np.arange(4)
    self.runs = 0

  def search(self, stop=99, **changes):
    """Runs a search of 4 chunks; it is asked to leave at one of them."""
    search = counterfact_makers.search(self.kept, **{'chunk': 1, **changes})
    real = effects_lib.run_patched

    def run(*args):
      if self.runs == stop:
        raise preemption.Preempted
      self.runs += 1
      return real(*args)

    drawn = search.draw(self.usable, np.zeros(0), 'x')
    with mock.patch.object(effects_lib, 'run_patched', run):
      return drawn, search.run(drawn, 128)

  def test_goes_on_where_it_stopped(self):
    with self.assertRaises(preemption.Preempted):
      self.search(stop=2)
    self.assertEqual(self.runs, 2)
    self.assertLen(list(self.kept.rglob('*.npz')), 2)
    drawn, found = self.search()
    self.assertEqual(self.runs, 4)
    # Everything is there now, and nothing is run.
    _, again = self.search(stop=4)
    direct = counterfact_makers.search(chunk=1).run(drawn, 128)
    for name in ('token', 'margin', 'written'):
      expected = getattr(direct, name)
      np.testing.assert_array_equal(getattr(found, name), expected)
      np.testing.assert_array_equal(getattr(again, name), expected)

  def test_only_what_depends_on_the_same_is_taken(self):
    self.search()
    self.search(blocks=((0, 0), (2, 2)))
    self.assertEqual(self.runs, 8)
    other = dataclasses.replace(
      counterfact_makers.search(self.kept, chunk=1),
      target=text_targets.target('llama', weight_hash='another'),
    )
    drawn = other.draw(self.usable, np.zeros(0), 'x')
    other.run(drawn.take(np.flatnonzero(drawn.base == 0)), 128)
    self.assertLen(list(self.kept.rglob('*.npz')), 9)

  def test_a_damaged_part_is_run_again(self):
    _, found = self.search()
    parts = sorted(self.kept.rglob('*.npz'))
    content = bytearray(parts[0].read_bytes())
    content[len(content) // 2] ^= 1
    parts[0].write_bytes(content)
    parts[1].write_bytes(parts[1].read_bytes()[:-30])
    _, again = self.search()
    self.assertEqual(self.runs, 6)
    np.testing.assert_array_equal(again.token, found.token)

  def test_rows_come_back_in_the_order_in_which_they_were_asked(self):
    search = counterfact_makers.search()
    drawn = search.draw(self.usable, np.zeros(0), 'x')
    some = drawn.take(np.arange(40))
    back = drawn.take(np.arange(40)[::-1])
    ahead, behind = (search.run(cells, 64) for cells in (some, back))
    np.testing.assert_allclose(ahead.margin, behind.margin[::-1], 0, 1e-4)
    self.assertGreater(np.ptp(ahead.margin), 0.1)
    np.testing.assert_allclose(
      search.vectors(some), search.vectors(back)[::-1], 0, 0
    )

  def test_draws_everything_once_in_another_order_for_each_purpose(self):
    search = counterfact_makers.search()
    first, again, other = (
      search.draw(self.usable, np.zeros(0), name) for name in ('x', 'x', 'y')
    )
    self.assertIsInstance(first, cells_lib.Placed)
    np.testing.assert_array_equal(first.position, again.position)
    self.assertFalse(np.array_equal(first.position, other.position))
    self.assertLen(cells_lib.join([first, again, other]), len(first))


if __name__ == '__main__':
  absltest.main()
