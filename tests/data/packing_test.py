# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of packing: what shares a row, and that nothing in it shares more."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import packing
from selfexplain_jax.models import decoder
from selfexplain_jax.training import language_modelling
from tests.models import tiny

EXAMPLES = (
  ([1, 7, 8], [9, 2]),
  ([1, 11], [12, 13, 14, 2]),
  ([1, 15, 16, 17, 18], [2]),
)


class PlanTest(parameterized.TestCase):
  @parameterized.product(
    seed=(0, 1), capacity=(20, 64), per_row=(1, 3, 8), count=(1, 400)
  )
  def test_places_every_example_once_where_it_fits(
    self, seed, capacity, per_row, count
  ):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 21, count).tolist()
    order = random.permutation(count).tolist()
    rows = packing.plan(lengths, order, capacity, per_row)
    self.assertEqual(sorted(i for row in rows for i in row), list(range(count)))
    for row in rows:
      self.assertBetween(len(row), 1, per_row)
      self.assertLessEqual(sum(lengths[i] for i in row), capacity)

  def test_first_fit_by_hand(self):
    lengths = [6, 5, 4, 3, 2, 10, 1]
    self.assertEqual(
      packing.plan(lengths, range(7), 10, 7), [[0, 2], [1, 3, 4], [5], [6]]
    )
    self.assertEqual(
      packing.plan(lengths, [6, 5, 4, 3, 2, 1, 0], 10, 7),
      [[6, 4, 3, 2], [5], [1], [0]],
    )
    # A row that has all its examples takes no more.
    self.assertEqual(
      packing.plan(lengths, range(7), 10, 2), [[0, 2], [1, 3], [4, 6], [5]]
    )
    # Only what is in the order is placed.
    self.assertEqual(packing.plan(lengths, [4, 1], 10, 2), [[4, 1]])

  def test_is_first_fit_among_all_rows_while_few_are_open(self):
    random = np.random.default_rng(2)
    for _ in range(20):
      lengths = random.integers(1, 33, 40).tolist()
      expected = []
      for example, length in enumerate(lengths):
        fitting = [
          row
          for row in expected
          if sum(lengths[i] for i in row) + length <= 32 and len(row) < 4
        ]
        if fitting:
          fitting[0].append(example)
        else:
          expected.append([example])
      self.assertLess(len(expected), packing._OPEN_ROWS)
      self.assertEqual(packing.plan(lengths, range(40), 32, 4), expected)

  def test_answers_of_a_row_are_no_more_than_allowed(self):
    # The third would fit, but not its answer.
    lengths, answers = [6, 9, 3, 4], [3, 1, 2, 1]
    self.assertEqual(
      packing.plan(lengths, range(4), 10, 4, answers, 4), [[0, 3], [1], [2]]
    )
    self.assertEqual(
      packing.plan(lengths, range(4), 10, 4, answers, 5), [[0, 2], [1], [3]]
    )
    self.assertEqual(packing.rounded(9, 64), 16)
    self.assertEqual(packing.rounded(61, 62), 62)

  def test_the_row_that_waits_longest_is_closed(self):
    # 33 rows with room for one more; the first is closed, the second is not.
    lengths = [9] * (packing._OPEN_ROWS + 1) + [1]
    rows = packing.plan(lengths, range(len(lengths)), 10, 2)
    self.assertEqual(rows[:2], [[0], [1, len(lengths) - 1]])

  def test_refuses_an_example_that_no_row_holds(self):
    with self.assertRaisesRegex(
      errors.InputError, 'example 1 has 9 tokens: expected at most 8'
    ):
      packing.plan([8, 9], [0, 1], 8, 4)


class PackTest(absltest.TestCase):
  def test_by_hand(self):
    row = packing.pack(EXAMPLES[:2], 13, 8)
    expected = {
      'tokens': [1, 7, 8, 9, 2, 1, 11, 12, 13, 14, 2, 0, 0],
      'segments': [1] * 5 + [2] * 6 + [0] * 2,
      'positions': [*range(5), *range(6), 0, 0],
      # One before each token of an answer.
      'answers': [2, 3, 6, 7, 8, 9, -1, -1],
    }
    self.assertEqual({k: v.tolist() for k, v in row.items()}, expected)
    self.assertEqual(
      {k: v.dtype for k, v in row.items()},
      {
        'tokens': np.int32,
        'segments': np.int32,
        'positions': np.int32,
        'answers': np.int32,
      },
    )

  def test_every_answer_token_of_a_full_row_has_its_place(self):
    row = packing.pack(EXAMPLES, 17, 7)
    asked = row['answers']
    self.assertEqual(
      row['tokens'][asked + 1].tolist(),
      [i for _, answer in EXAMPLES for i in answer],
    )

  def test_refuses_more_than_fits(self):
    with self.assertRaises(ValueError):
      packing.pack(EXAMPLES, 16, 7)


class BlindnessTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    model = tiny.model(layers=2)

    @jax.jit
    def losses(tokens, positions, segments):
      hidden, _ = decoder.forward(
        model, tokens, positions_BxT=positions, segments_BxT=segments
      )
      return language_modelling.cross_entropy(
        model, hidden[:, :-1], tokens[:, 1:]
      )

    @jax.jit
    def alone(tokens):
      hidden, _ = decoder.forward(model, tokens)
      return language_modelling.cross_entropy(
        model, hidden[:, :-1], tokens[:, 1:]
      )

    cls.losses, cls.alone = staticmethod(losses), staticmethod(alone)

  def _packed(self, examples, capacity=20):
    """Returns the losses of the answers of each packed example."""
    row = packing.pack(examples, capacity, 7)
    losses = jax.device_get(
      self.losses(
        *(row[name][None] for name in ('tokens', 'positions', 'segments'))
      )
    )[0]
    asked = row['answers']
    number = row['segments'][asked]
    return [losses[asked[number == n + 1]] for n in range(len(examples))]

  def test_losses_are_those_of_each_example_alone(self):
    for packed, (question, answer) in zip(
      self._packed(EXAMPLES), EXAMPLES, strict=True
    ):
      tokens = jnp.array([[*question, *answer]], jnp.int32)
      losses = jax.device_get(self.alone(tokens))[0][len(question) - 1 :]
      self.assertLen(packed, len(answer))
      np.testing.assert_allclose(packed, losses, rtol=1e-5, atol=1e-5)

  def test_changing_one_example_changes_no_other_by_a_bit(self):
    before = self._packed(EXAMPLES)
    for changed in range(3):
      question, answer = EXAMPLES[changed]
      examples = list(EXAMPLES)
      examples[changed] = ([3, *question[1:]], [*answer[:-1], 4])
      after = self._packed(examples)
      for n in range(3):
        same = np.array_equal(before[n], after[n])
        self.assertEqual(same, n != changed)

  def test_swapping_examples_swaps_their_losses(self):
    before, after = self._packed(EXAMPLES), self._packed(EXAMPLES[::-1])
    for one, two in zip(before, after[::-1], strict=True):
      np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


if __name__ == '__main__':
  absltest.main()
