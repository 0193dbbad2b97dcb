# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the rows that an explainer is trained on."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib

EXAMPLES, PHRASINGS, CAPACITY, PER_ROW, WIDTH = 23, 3, 24, 3, 4
# The second token of a question says which example it is of, and the third in
# which phrasing it is asked; lengths differ.
QUESTIONS = questions_lib.Questions(
  [
    [[1, 100 + i, 200 + p, *[5] * (i % 4 + p)] for p in range(PHRASINGS)]
    for i in range(EXAMPLES)
  ],
  [[7] * (1 + i % 3) for i in range(EXAMPLES)],
)
VECTORS = np.arange(EXAMPLES)[:, None] + np.ones((1, WIDTH), np.float32)


def _source(seed=0, rows=60, **changes):
  sizes = {'capacity': CAPACITY, 'per_row': PER_ROW, **changes}
  return pipeline.PackedRows(QUESTIONS, VECTORS, seed=seed, rows=rows, **sizes)


def _examples(row):
  """Returns (example, phrasing) of each segment of a row."""
  starts = [
    np.argmax(row['segments'] == s) for s in range(1, row['segments'].max() + 1)
  ]
  ids = row['tokens']
  return [(int(ids[s + 1]) - 100, int(ids[s + 2]) - 200) for s in starts]


def _epochs(source):
  """Splits the job into epochs, each an example's phrasing by example."""
  epochs, seen = [], {}
  for row in map(source.__getitem__, range(len(source))):
    if len(seen) == EXAMPLES:
      epochs.append(seen)
      seen = {}
    for example, phrasing in _examples(row):
      assert example not in seen, 'twice in an epoch'
      seen[example] = phrasing
  return epochs


class PackedRowsTest(absltest.TestCase):
  def test_each_epoch_holds_every_example_once(self):
    epochs = _epochs(_source())
    self.assertGreaterEqual(len(epochs), 4)
    for epoch in epochs:
      self.assertSameElements(epoch, range(EXAMPLES))

  def test_the_order_is_new_in_each_epoch_and_seed(self):
    orders = [tuple(epoch) for epoch in _epochs(_source())]
    orders += [tuple(epoch) for epoch in _epochs(_source(seed=1))]
    self.assertLen(set(orders), len(orders))

  def test_phrasing_is_a_function_of_seed_example_and_epoch(self):
    epochs = _epochs(_source())
    # Other rows, and so another packing.
    for number, epoch in enumerate(_epochs(_source(per_row=1, rows=100))):
      self.assertEqual(
        dict(sorted(epoch.items())), dict(sorted(epochs[number].items()))
      )
    counts = collections.Counter(p for epoch in epochs for p in epoch.values())
    self.assertSameElements(counts, range(PHRASINGS))
    self.assertGreater(min(counts.values()), sum(counts.values()) / 6)
    source = _source()
    for example in range(EXAMPLES):
      told = {source.phrasing(example, epoch) for epoch in range(20)}
      self.assertLen(told, PHRASINGS)
      self.assertEqual(source.phrasing(example, 0), epochs[0][example])
    other = _source(seed=1)
    self.assertNotEqual(
      [source.phrasing(i, 0) for i in range(EXAMPLES)],
      [other.phrasing(i, 0) for i in range(EXAMPLES)],
    )

  def test_rows_have_their_examples_vectors(self):
    for row in map(_source().__getitem__, range(20)):
      self.assertEqual(row['vectors'].shape, (PER_ROW, WIDTH))
      self.assertEqual(row['vectors'].dtype, np.float32)
      examples = _examples(row)
      shown = row['vectors'][:, 0].tolist()
      expected = [float(example + 1) for example, _ in examples]
      self.assertEqual(shown[: len(examples)], expected)
      self.assertFalse(row['vectors'][len(examples) :].any())

  def test_rows_ask_and_answer(self):
    row = _source()[0]
    example, phrasing = _examples(row)[0]
    ids = QUESTIONS.question_ids[example][phrasing]
    answer = QUESTIONS.answer_ids[example]
    both = len(ids) + len(answer)
    self.assertEqual(row['tokens'][:both].tolist(), [*ids, *answer])
    self.assertEqual(row['weights'][:both].sum(), len(answer))

  def test_a_row_does_not_depend_on_those_read_before(self):
    expected = [_source()[c]['tokens'].tolist() for c in (37, 2, 59)]
    source = _source()
    self.assertEqual(
      [source[c]['tokens'].tolist() for c in (37, 2, 59)], expected
    )

  def test_refuses_an_example_longer_than_a_row(self):
    with self.assertRaisesRegex(errors.InputError, 'expected at most 8'):
      _source(capacity=8)[0]


class BatchesTest(parameterized.TestCase):
  @parameterized.parameters((1, 0), (4, 0), (4, 7), (6, 9), (60, 0), (4, 15))
  def test_row_c_is_the_same_whatever_the_batch_and_what_is_done(
    self, batch, done
  ):
    source = _source()
    made = list(pipeline.batches(_source(), batch, done))
    self.assertLen(made, 60 // batch - done)
    rows = range(done * batch, 60)
    for name in ('tokens', 'segments', 'positions', 'weights', 'vectors'):
      expected = [source[c][name] for c in rows]
      found = [row for b in made for row in b[name]]
      np.testing.assert_array_equal(found, expected, name)


if __name__ == '__main__':
  absltest.main()
