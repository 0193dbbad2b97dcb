# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the order in which rows of a store come."""

import itertools
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.activations import reader
from selfexplain_jax.dictionary import rows
from tests.activations import fixtures

CHOSEN = np.ones(fixtures.ROWS, bool)
CHOSEN[[2, 4, 5, 6, 7]] = False  # All of the chunk of rows 4 to 7.
LEFT = np.flatnonzero(CHOSEN)


class RowsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = pathlib.Path(self.create_tempdir().full_path) / 'store'
    self.held = fixtures.write(folder)['resid_post']
    self.store = reader.open_store(folder)

  def source(self, seed=0, window_rows=8, layers=(0, 2), chosen=CHOSEN):
    return rows.ShuffledRows(
      self.store,
      'resid_post',
      layers,
      chosen,
      seed=seed,
      window_rows=window_rows,
    )

  def stream(self, source, count, start=0):
    """Numbers of the store's rows, in the order in which they come."""
    made = []
    for window in source.windows(start):
      made += [self.number(row) for row in window]
      if len(made) >= count:
        return made[:count]

  def number(self, row):
    (found,) = np.flatnonzero((self.held == row).all((1, 2)))
    return found

  @parameterized.parameters(4, 8, 100)
  def test_an_epoch_has_every_chosen_row_once(self, window_rows):
    source = self.source(window_rows=window_rows)
    self.assertEqual(source.rows, len(LEFT))
    seen = self.stream(source, 3 * len(LEFT))
    epochs = [seen[i : i + len(LEFT)] for i in range(0, len(seen), len(LEFT))]
    for epoch in epochs:
      self.assertCountEqual(epoch, LEFT)
    self.assertNotEqual(epochs[0], epochs[1])
    other = self.source(seed=1, window_rows=window_rows)
    self.assertNotEqual(seen, self.stream(other, len(seen)))

  def test_a_row_is_a_function_of_the_counter(self):
    whole = self.stream(self.source(), 30)
    for start in range(20):
      self.assertEqual(
        self.stream(self.source(), 10, start), whole[start:][:10]
      )

  @parameterized.parameters(1, 4, 7, 20)
  def test_batches_cut_the_stream_and_go_on_anywhere(self, size):
    whole = self.stream(self.source(), 5 * size)
    for done in range(6):
      made = list(rows.batches(self.source(), size, 5, done))
      self.assertLen(made, 5 - done)
      found = [self.number(row) for batch in made for row in batch]
      self.assertEqual(found, whole[done * size :])

  def test_nothing_is_read_that_is_not_wanted(self):
    asked = []
    real = reader.Store.read

    def read(store, site, start, stop):
      asked.append((start, stop))
      return real(store, site, start, stop)

    with mock.patch.object(reader.Store, 'read', read):
      next(self.source(window_rows=4).windows(0))
      self.assertLen(asked, 1)
      list(rows.batches(self.source(), 4, 3, 3))
      self.assertLen(asked, 1)
      list(itertools.islice(self.source(window_rows=4).windows(0), 20))
    self.assertEqual({stop - start for start, stop in asked}, {4, 3})
    self.assertNotIn((4, 8), asked)

  def test_layers_are_in_the_order_asked_for(self):
    source = self.source(layers=(2,), chosen=np.ones(fixtures.ROWS, bool))
    window = next(source.windows(0))
    self.assertEqual(window.shape[1:], (1, 3))
    swapped = next(self.source(layers=(2, 0)).windows(0))
    plain = next(self.source().windows(0))
    np.testing.assert_array_equal(swapped, plain[:, ::-1])
    for row in window:
      self.assertTrue((self.held[:, 1] == row[0]).all(1).any())


if __name__ == '__main__':
  absltest.main()
