# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the rows that an explainer is trained on."""

import collections
import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib

PHRASINGS, CAPACITY, PER_ROW, WIDTH = 3, 24, 3, 4
VECTOR = 9  # The id that stands for a vector.
FIELDS = (
  'tokens',
  'segments',
  'positions',
  'answers',
  'vectors',
  'vector_blocks',
)


def _task(number, examples, weight=1.0, counts=(1,)):
  """Makes the examples of a task; how many vectors each shows goes round.

  The second token of a question says which task and example it is of, and the
  third in which phrasing it is asked; lengths differ.
  """
  count = np.array([counts[i % len(counts)] for i in range(examples)])
  numbers = 100 * number + np.arange(examples)
  shown, vectors = [], [np.full(WIDTH, np.nan)]  # Nobody shows the first.
  for i in range(examples):
    shown.append(list(range(len(vectors), len(vectors) + count[i]))[::-1])
    vectors += [_vector(number, i, k) for k in reversed(range(count[i]))]
  return pipeline.Examples(
    task=f'task {number}',
    questions=questions_lib.Questions(
      [
        [
          [1, 1000 + n, 10 + p, *[VECTOR] * count[i], *[5] * (i % 4 + p)]
          for p in range(PHRASINGS)
        ]
        for i, n in enumerate(numbers)
      ],
      [[7] * (1 + i % 3) for i in range(examples)],
    ),
    vectors=np.array(vectors, np.float32),
    shown=shown,
    most=max(1, *counts),
    blocks=(numbers % 17 + 1).astype(np.int32),
    weight=weight,
  )


def _vector(task, example, k):
  return task * 1000 + 10 * example + k + np.arange(1, WIDTH + 1) / 8


def _source(tasks, seed=0, rows=60, **changes):
  sizes = {'capacity': CAPACITY, 'per_row': PER_ROW, **changes}
  return pipeline.PackedRows(tasks, seed=seed, rows=rows, **sizes)


ONE = (_task(0, 23),)
# Records with one vector, with none, and with none, one or three.
THREE = (
  _task(0, 23, 1.0),
  _task(1, 7, 2.0, (0,)),
  _task(2, 40, 5.0, (3, 0, 1)),
)


def _visits(row):
  """Returns (task, example, phrasing) of each segment of a row."""
  starts = [
    np.argmax(row['segments'] == s) for s in range(1, row['segments'].max() + 1)
  ]
  ids = row['tokens']
  return [
    (*divmod(int(ids[s + 1]) - 1000, 100), int(ids[s + 2]) - 10) for s in starts
  ]


def _epochs(source, visits):
  """Splits the job into epochs of so many visits, each as a list of them."""
  epochs, seen = [], []
  for row in map(source.__getitem__, range(len(source))):
    seen += _visits(row)
    assert len(seen) <= visits, 'a row is of two epochs'
    if len(seen) == visits:
      epochs.append(seen)
      seen = []
  return epochs


class OneTaskTest(absltest.TestCase):
  def epochs(self, **changes):
    """Returns the phrasing of each example, by example, in each epoch."""
    found = _epochs(_source(ONE, **changes), 23)
    epochs = [{e: p for _, e, p in epoch} for epoch in found]
    for epoch in epochs:
      self.assertSameElements(epoch, range(23))
    self.assertGreaterEqual(len(epochs), 4)
    return epochs

  def test_each_epoch_holds_every_example_once(self):
    self.epochs()

  def test_the_order_is_new_in_each_epoch_and_seed(self):
    orders = [tuple(epoch) for epoch in self.epochs()]
    orders += [tuple(epoch) for epoch in self.epochs(seed=1)]
    self.assertLen(set(orders), len(orders))

  def test_phrasing_is_a_function_of_seed_example_and_epoch(self):
    epochs = self.epochs(rows=300)
    # Other rows, and so another packing.
    for number, epoch in enumerate(self.epochs(per_row=1, rows=100)):
      self.assertEqual(epoch, epochs[number])
    counts = collections.Counter(p for epoch in epochs for p in epoch.values())
    self.assertSameElements(counts, range(PHRASINGS))
    self.assertGreater(min(counts.values()), sum(counts.values()) / 6)
    for example in range(23):
      self.assertLen({epoch[example] for epoch in epochs}, PHRASINGS)
    self.assertNotEqual(self.epochs(seed=1)[0], epochs[0])

  def test_weight_says_nothing_of_a_task_alone(self):
    heavy = (dataclasses.replace(ONE[0], weight=17.0),)
    for counter in range(20):
      for name in FIELDS:
        np.testing.assert_array_equal(
          _source(heavy)[counter][name], _source(ONE)[counter][name]
        )

  def test_rows_ask_and_answer(self):
    row = _source(ONE)[0]
    _, example, phrasing = _visits(row)[0]
    ids = ONE[0].questions.question_ids[example][phrasing]
    answer = ONE[0].questions.answer_ids[example]
    both = len(ids) + len(answer)
    self.assertEqual(row['tokens'][:both].tolist(), [*ids, *answer])
    answers = [at for at in row['answers'] if 0 <= at < both]
    self.assertEqual(answers, list(range(len(ids) - 1, both - 1)))

  def test_answers_of_a_row_fit_in_the_room_for_them(self):
    source = _source(ONE, rows=200)
    fewest = max(map(len, ONE[0].questions.answer_ids))
    self.assertBetween(source.most_answers, fewest, CAPACITY)
    for counter in range(200):
      row = source[counter]
      self.assertEqual(row['answers'].shape, (source.most_answers,))
      places = np.flatnonzero(row['tokens'] == 7) - 1
      answers = row['answers'][row['answers'] >= 0]
      self.assertEqual(answers.tolist(), places.tolist())

  def test_refuses_an_example_longer_than_a_row(self):
    with self.assertRaisesRegex(errors.InputError, 'expected at most 8'):
      _source(ONE, capacity=8)[0]


class MixtureTest(parameterized.TestCase):
  @parameterized.parameters(
    # 70 examples in all; a half goes to the even number.
    ((1.0, 2.0, 5.0), (9, 18, 44)),
    ((0.1, 0.2, 0.5), (9, 18, 44)),
    ((1.0, 1.0, 1.0), (23, 23, 23)),
    ((3.0, 2.0, 0.2), (40, 27, 3)),
    ((23.0, 7.0, 40.0), (23, 7, 40)),
  )
  def test_each_tasks_share_of_visits_is_its_weight(self, weights, expected):
    tasks = [
      dataclasses.replace(task, weight=weight)
      for task, weight in zip(THREE, weights, strict=True)
    ]
    epochs = _epochs(_source(tasks, rows=400), sum(expected))
    self.assertGreater(len(epochs), 8)
    for epoch in epochs:
      counts = collections.Counter(task for task, _, _ in epoch)
      self.assertEqual(tuple(counts[task] for task in range(3)), expected)

  def test_no_example_is_seen_again_before_all_others_are(self):
    seen = collections.Counter(
      (task, example)
      for task, examples in enumerate(THREE)
      for example in range(len(examples))
    )
    for epoch in _epochs(_source(THREE, rows=700), 71):
      seen.update((task, example) for task, example, _ in epoch)
      for task, examples in enumerate(THREE):
        counts = [seen[task, example] for example in range(len(examples))]
        self.assertLessEqual(max(counts) - min(counts), 1)
    # The second task's 7 examples were visited 18 times an epoch.
    self.assertGreater(seen[1, 0], 2 * seen[2, 0])

  def test_phrasings_of_one_example_vary_within_an_epoch(self):
    (epoch, *_) = _epochs(_source(THREE), 71)
    phrasings = collections.defaultdict(set)
    for task, example, phrasing in epoch:
      phrasings[task, example].add(phrasing)
    several = [len(phrasings[1, example]) for example in range(7)]
    self.assertGreater(max(several), 1)

  def test_tasks_share_rows(self):
    mixed = sum(
      len({task for task, _, _ in _visits(_source(THREE)[c])}) > 1
      for c in range(20)
    )
    self.assertGreater(mixed, 10)

  @parameterized.parameters(PER_ROW, 5)
  def test_vectors_are_in_the_order_of_the_vector_tokens(self, per_row):
    source = _source(THREE, per_row=per_row, capacity=40)
    shown = collections.Counter()
    for row in map(source.__getitem__, range(len(source))):
      self.assertEqual(row['vectors'].shape, (3 * per_row, WIDTH))
      self.assertEqual(row['vectors'].dtype, np.float32)
      self.assertEqual(row['vector_blocks'].shape, (3 * per_row,))
      self.assertEqual(row['vector_blocks'].dtype, np.int32)
      visits, before = _visits(row), collections.Counter()
      tokens = np.flatnonzero(row['tokens'] == VECTOR)
      for n, at in enumerate(tokens):
        segment = int(row['segments'][at])
        task, example, _ = visits[segment - 1]
        expected = _vector(task, example, before[segment])
        np.testing.assert_array_equal(row['vectors'][n], expected)
        self.assertEqual(
          row['vector_blocks'][n], (100 * task + example) % 17 + 1
        )
        before[segment] += 1
      self.assertFalse(row['vectors'][len(tokens) :].any())
      self.assertFalse(row['vector_blocks'][len(tokens) :].any())
      shown.update(before[s + 1] for s in range(len(visits)))
    self.assertSameElements(shown, (0, 1, 3))

  def test_a_mixture_without_any_vectors(self):
    row = _source((_task(0, 9, counts=(0,)), _task(1, 5, counts=(0,))))[0]
    self.assertEqual(row['vectors'].shape, (PER_ROW, WIDTH))
    self.assertFalse(row['vectors'].any())

  def test_a_row_does_not_depend_on_those_read_before(self):
    counters = (137, 2, 299, 0)
    source = _source(THREE, rows=300)
    for counter in counters:
      row, alone = source[counter], _source(THREE, rows=300)[counter]
      self.assertSameElements(row, FIELDS)
      for name in FIELDS:
        np.testing.assert_array_equal(row[name], alone[name])


class BatchesTest(parameterized.TestCase):
  @parameterized.product(
    tasks=(ONE, THREE),
    sizes=((1, 0), (4, 0), (4, 7), (6, 9), (60, 0), (4, 15)),
  )
  def test_row_c_is_the_same_whatever_the_batch_and_what_is_done(
    self, tasks, sizes
  ):
    batch, done = sizes
    source = _source(tasks)
    made = list(pipeline.batches(_source(tasks), batch, done))
    self.assertLen(made, 60 // batch - done)
    rows = range(done * batch, 60)
    for name in FIELDS:
      expected = [source[c][name] for c in rows]
      found = [row for b in made for row in b[name]]
      np.testing.assert_array_equal(found, expected, name)


if __name__ == '__main__':
  absltest.main()
