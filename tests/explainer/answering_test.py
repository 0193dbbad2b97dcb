# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of answers against a slow greedy loop without a cache."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from tests.models import oracle
from tests.models import tiny

VECTOR, NEW, ASKED, SHOWN = 6, 5, 11, 3
MODEL = tiny.model(layers=2)
RNG = np.random.default_rng(0)
BLOCKS = layer_blocks_lib.LayerBlocks(((0, 1), (2, 3)))
PROJECTION = RNG.normal(size=(2, 16, 12))
INJECTION = injection_lib.Injection(
  'add_norm_matched',
  VECTOR,
  3.0,
  0,
  BLOCKS,
  injection_lib.place({'projection': PROJECTION}),
)


def _questions():
  """Questions of 4 to 12 tokens with 0 to 3 vector tokens somewhere in each."""
  asked = []
  for n in range(ASKED):
    ids = RNG.integers(7, 40, RNG.integers(4, 13)).tolist()
    for at in RNG.permutation(len(ids))[: n % (SHOWN + 1)]:
      ids[at] = VECTOR
    asked.append(ids)
  vectors = RNG.normal(size=(ASKED, SHOWN, 12)).astype(np.float32)
  return asked, vectors, RNG.integers(0, 2, (ASKED, SHOWN)).astype(np.int32)


def _slow(ids, vectors, blocks, end_id):
  """Returns an answer and its log probability, one whole run a token."""

  def show(site, layer, x):
    # A vector token that the model says itself is a token like any other.
    if (site, layer) == ('resid_post', 0):
      for k, at in enumerate(np.flatnonzero(np.array(ids) == VECTOR)):
        vector = PROJECTION[blocks[k]] @ vectors[k].astype(np.float64)
        x[at] += vector * np.linalg.norm(x[at]) / np.linalg.norm(vector)
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


def _ask(asked, vectors, blocks, end_id, batch):
  return answering.ask(
    MODEL,
    INJECTION,
    asked,
    vectors,
    blocks,
    end_id=end_id,
    new_tokens=NEW,
    batch=batch,
  )


class AskTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.asked, cls.vectors, cls.blocks = _questions()
    shown = list(zip(cls.asked, cls.vectors, cls.blocks, strict=True))
    endless = [_slow(*one, -1)[0] for one in shown]
    # An end that some answers have, one after two tokens, and some have not.
    cls.end_id = endless[0][2]
    cls.expected = [_slow(*one, cls.end_id) for one in shown]

  def check(self, found, expected):
    ids, log_probability = zip(*expected, strict=True)
    self.assertEqual(found.ids, list(ids))
    np.testing.assert_allclose(found.log_probability, log_probability, 0, 1e-3)

  @parameterized.parameters(4, 32)
  def test_equals_the_slow_loop_in_batches_of(self, batch):
    self.check(
      _ask(self.asked, self.vectors, self.blocks, self.end_id, batch),
      self.expected,
    )
    lengths = {len(ids) for ids, _ in self.expected}
    self.assertGreater(len(lengths), 1)

  def test_in_another_order(self):
    order = np.random.default_rng(1).permutation(ASKED)
    asked = [self.asked[i] for i in order]
    self.check(
      _ask(asked, self.vectors[order], self.blocks[order], self.end_id, 4),
      [self.expected[i] for i in order],
    )

  def test_the_vectors_and_their_blocks_matter(self):
    expected = [ids for ids, _ in self.expected]
    for vectors, blocks in (
      (self.vectors[:, ::-1], self.blocks),
      (self.vectors, 1 - self.blocks),
    ):
      found = _ask(self.asked, vectors, blocks, self.end_id, 4).ids
      self.assertNotEqual(found, expected)
      # Those without vectors say the same.
      self.assertEqual(found[:: SHOWN + 1], expected[:: SHOWN + 1])

  def test_questions_without_vectors(self):
    asked = self.asked[:: SHOWN + 1]
    for count in (0, 1):
      found = _ask(
        asked,
        np.zeros((len(asked), count, 12), np.float32),
        np.zeros((len(asked), count), np.int32),
        self.end_id,
        4,
      )
      self.check(found, self.expected[:: SHOWN + 1])

  def test_blocks_may_be_left_out_where_none_are_told_apart(self):
    injection = injection_lib.Injection('replace_embedding', VECTOR, 1.0)
    vectors = RNG.normal(size=(ASKED, SHOWN, 16)).astype(np.float32)
    zeros = np.zeros((ASKED, SHOWN), np.int32)
    found = [
      answering.ask(
        MODEL, injection, self.asked, vectors, *ids, end_id=2, new_tokens=NEW
      ).ids
      for ids in ((), (zeros,))
    ]
    self.assertEqual(found[0], found[1])

  def test_no_question_has_no_answer(self):
    found = _ask(
      [], np.zeros((0, 1, 12), np.float32), np.zeros((0, 1), np.int32), 2, 4
    )
    self.assertEqual((found.ids, len(found.log_probability)), ([], 0))


if __name__ == '__main__':
  absltest.main()
