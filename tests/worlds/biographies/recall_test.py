# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of recall against plain runs of prompts of one length."""

import dataclasses

from absl.testing import absltest
import jax
import numpy as np

from selfexplain_jax.models import decoder
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import prompts
from selfexplain_jax.worlds.biographies import recall
from selfexplain_jax.worlds.biographies import vocabulary
from tests.models import tiny

WORLD = facts.make_world(3, 50)
TOKENIZER = vocabulary.build_tokenizer(WORLD, [])
PROMPTS = prompts.all_prompts(WORLD, facts.known_facts(WORLD, 1), TOKENIZER)


class RecallTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.model = tiny.model(layers=2, vocabulary=TOKENIZER.vocab_size)

    @jax.jit
    def logits(tokens):
      hidden, _ = decoder.forward(cls.model, tokens)
      return decoder.unembed(cls.model, hidden[:, -1])

    # 750 prompts of 5 to 8 tokens: one full batch and a part of another. Here
    # those of a length are run together, without padding.
    cls.said = np.zeros(750, np.int32)
    for length in sorted({len(ids) for ids in PROMPTS.ids}):
      chosen = [i for i, ids in enumerate(PROMPTS.ids) if len(ids) == length]
      tokens = np.array([PROMPTS.ids[i] for i in chosen], np.int32)
      cls.said[chosen] = np.argmax(jax.device_get(logits(tokens)), -1)

  def test_a_model_says_many_things(self):
    self.assertGreater(len(set(self.said.tolist())), 20)

  def test_shares_are_of_known_and_of_unknown_facts(self):
    wrong = (self.said + 1) % TOKENIZER.vocab_size
    known = np.arange(750) < 600
    right = (np.arange(750) < 450) | (np.arange(750) >= 720)
    asked = dataclasses.replace(
      PROMPTS, known=known, answer=np.where(right, self.said, wrong)
    )
    found = recall.recall(self.model, asked)
    self.assertEqual(found, {'known': 450 / 600, 'unknown': 30 / 150})


if __name__ == '__main__':
  absltest.main()
