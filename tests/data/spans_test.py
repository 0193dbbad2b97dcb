# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of spans of prompts."""

from absl.testing import absltest
import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import spans

PROMPTS = prompts_lib.Prompts(
  ids=[[1, 5, 6, 7], [1, 8, 9]],
  text=['5 6 7', '8 9'],
  positions={
    'early': np.array([1, 1], np.int64),
    'last_token': np.array([3, 2], np.int64),
  },
  kind=['sample'] * 2,
  group=['a', 'b'],
  split=['train', 'test'],
  answer=np.array([-1, -1], np.int32),
  known=np.ones(2, bool),
)


class SpannedPromptsTest(absltest.TestCase):
  def test_tokens_of_a_span(self):
    asked = spans.SpannedPrompts(
      PROMPTS, {'piece': np.array([[1, 3], [0, 0]], np.int32)}
    )
    self.assertLen(asked, 2)
    self.assertEqual(asked.tokens('piece', 0), [5, 6])
    # (0, 0) stands for a span that is not there.
    self.assertEqual(asked.tokens('piece', 1), [])

  def test_positions_become_spans_of_one_token(self):
    asked = spans.of_positions(PROMPTS)
    self.assertIs(asked.prompts, PROMPTS)
    self.assertEqual(list(asked.spans), ['early', 'last_token'])
    self.assertEqual(asked.spans['early'].tolist(), [[1, 2], [1, 2]])
    self.assertEqual(asked.spans['last_token'].tolist(), [[3, 4], [2, 3]])
    self.assertEqual(asked.spans['early'].dtype, np.int32)
    self.assertEqual(asked.tokens('last_token', 0), [7])
    self.assertEqual(asked.tokens('last_token', 1), [9])


if __name__ == '__main__':
  absltest.main()
