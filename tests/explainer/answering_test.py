# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of answers against a slow greedy loop without a cache."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import injection as injection_lib
from tests.models import oracle
from tests.models import tiny

VECTOR, NEW, ASKED = 6, 5, 11
MODEL = tiny.model(layers=2)
INJECTION = injection_lib.Injection('add_norm_matched', VECTOR, 3.0, block=0)


def _questions():
  """Questions of 3 to 12 tokens with a vector token somewhere in each."""
  rng = np.random.default_rng(0)
  asked = []
  for _ in range(ASKED):
    ids = rng.integers(7, 40, rng.integers(3, 13)).tolist()
    ids[rng.integers(len(ids))] = VECTOR
    asked.append(ids)
  return asked, rng.normal(size=(ASKED, 16)).astype(np.float32)


def _slow(ids, vector, end_id):
  """Returns an answer and its log probability, one whole run a token."""
  direction = vector.astype(np.float64) / np.linalg.norm(vector)

  def show(site, layer, x):
    # A vector token that the model says itself is a token like any other.
    if (site, layer) == ('resid_post', 0):
      at = ids.index(VECTOR)
      x[at] += direction * np.linalg.norm(x[at])
    return x

  answer, total = [], 0.0
  while len(answer) < NEW:
    logits = oracle.forward(MODEL, np.array([*ids, *answer]), show)[0][-1]
    token = int(np.argmax(logits))
    total += logits[token] - np.log(np.sum(np.exp(logits)))
    if token == end_id:
      break
    answer.append(token)
  return answer, total


def _ask(asked, vectors, end_id, batch):
  return answering.ask(
    MODEL,
    INJECTION,
    asked,
    vectors,
    end_id=end_id,
    new_tokens=NEW,
    batch=batch,
  )


class AskTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.asked, cls.vectors = _questions()
    endless = [
      _slow(ids, vector, -1)[0]
      for ids, vector in zip(cls.asked, cls.vectors, strict=True)
    ]
    # An end that some answers have, one after two tokens, and some have not.
    cls.end_id = endless[0][2]
    cls.expected = [
      _slow(ids, vector, cls.end_id)
      for ids, vector in zip(cls.asked, cls.vectors, strict=True)
    ]

  def check(self, found, expected):
    ids, log_probability = zip(*expected, strict=True)
    self.assertEqual(found.ids, list(ids))
    np.testing.assert_allclose(found.log_probability, log_probability, 0, 1e-3)

  @parameterized.parameters(4, 32)
  def test_equals_the_slow_loop_in_batches_of(self, batch):
    self.check(
      _ask(self.asked, self.vectors, self.end_id, batch), self.expected
    )
    lengths = {len(ids) for ids, _ in self.expected}
    self.assertGreater(len(lengths), 1)

  def test_in_another_order(self):
    order = np.random.default_rng(1).permutation(ASKED)
    self.check(
      _ask([self.asked[i] for i in order], self.vectors[order], self.end_id, 4),
      [self.expected[i] for i in order],
    )

  def test_the_vector_matters(self):
    other = _ask(self.asked, self.vectors[::-1], self.end_id, 4)
    self.assertNotEqual(other.ids, [ids for ids, _ in self.expected])

  def test_no_question_has_no_answer(self):
    found = _ask([], np.zeros((0, 16), np.float32), 2, 4)
    self.assertEqual((found.ids, len(found.log_probability)), ([], 0))


if __name__ == '__main__':
  absltest.main()
