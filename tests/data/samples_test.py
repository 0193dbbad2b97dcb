# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of a model's own samples as prompts, against plain sampling."""

import collections
from unittest import mock

from absl.testing import absltest
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import samples
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.models import word_tokenizers
from tests.models import tiny

WORDS = tuple(f'w{i}' for i in range(32))
SPECIAL = tokenizer_lib.SPECIAL_TOKENS
TOKENIZER = word_tokenizers.make((*SPECIAL.values(), *WORDS), SPECIAL)
MODEL = tiny.model(layers=2, vocabulary=40, width=16)


def _sample(count=6, length=9, seed=3):
  return samples.sample_prompts(
    MODEL, TOKENIZER, count=count, length=length, seed=seed
  )


@jax.jit
def _logits(tokens):
  return decoder.unembed(MODEL, decoder.forward(MODEL, tokens)[0])


class SamplesTest(absltest.TestCase):
  def test_each_token_is_drawn_from_what_the_model_says_next(self):
    sampled = _sample()
    ids = np.array(sampled.ids)
    self.assertEqual(ids.shape, (6, 9))
    self.assertEqual(ids[:, 0].tolist(), [TOKENIZER.bos_id] * 6)
    key = jax.random.key(3)
    for at in range(1, 9):
      # Only the tokens before are shown.
      logits = _logits(np.where(np.arange(9) < at, ids, 39))[:, at - 1]
      for row in range(6):
        own = jax.random.fold_in(jax.random.fold_in(key, row), at)
        drawn = jax.random.categorical(own, logits[row])
        self.assertEqual(ids[row, at], drawn)

  def test_temperature_is_one(self):
    ids = np.array(_sample(count=4000, length=2).ids)[:, 1]
    logits = _logits(np.array([[TOKENIZER.bos_id]]))[0, 0]
    expected = np.asarray(jax.nn.softmax(logits))
    share = np.bincount(ids, minlength=40) / 4000
    self.assertLess(np.abs(share - expected).max(), 0.03)

  def test_depends_on_the_seed_and_not_on_the_count(self):
    sampled = _sample()
    self.assertEqual(_sample().ids, sampled.ids)
    self.assertNotEqual(_sample(seed=4).ids, sampled.ids)
    self.assertEqual(_sample(count=11).ids[:6], sampled.ids)

  def test_does_not_depend_on_the_batch(self):
    sampled = _sample(count=300)
    for batch in (7, 128):
      with mock.patch.object(samples, '_BATCH', batch):
        self.assertEqual(_sample(count=300).ids, sampled.ids)

  def test_refuses_what_it_cannot_begin(self):
    without = word_tokenizers.of_ids(40, None, 2)
    with self.assertRaisesRegex(errors.InputError, 'no begin token: expected'):
      samples.sample_prompts(MODEL, without, count=6, length=9, seed=3)
    for count, length in ((0, 9), (6, 1)):
      with self.assertRaisesRegex(errors.InputError, 'expected at least 1'):
        _sample(count=count, length=length)

  def test_text_and_positions(self):
    sampled = _sample(length=13)
    for ids, text in zip(sampled.ids, sampled.text, strict=True):
      self.assertEqual(text, TOKENIZER.decode(ids[1:]))
    self.assertEqual(
      {kind: where.tolist() for kind, where in sampled.positions.items()},
      {
        'early': [3] * 6,
        'middle': [6] * 6,
        'late': [9] * 6,
        'last_token': [12] * 6,
      },
    )
    self.assertEqual(tuple(sampled.positions), samples.POSITION_KINDS)

  def test_no_answer_is_right_and_none_is_filtered(self):
    sampled = _sample()
    self.assertEqual(sampled.answer.tolist(), [-1] * 6)
    self.assertTrue(sampled.known.all())
    self.assertLen(set(sampled.kind), 1)
    self.assertLen(set(sampled.group), 6)

  def test_equal_samples_are_on_one_side_of_the_split(self):
    sampled = _sample(count=300, length=3)
    splits = collections.defaultdict(set)
    for ids, split in zip(sampled.ids, sampled.split, strict=True):
      splits[tuple(ids)].add(split)
    self.assertLess(len(splits), 300)
    self.assertEqual({len(s) for s in splits.values()}, {1})

  def test_sizes_of_the_splits(self):
    count = collections.Counter(_sample(count=1000, length=9).split)
    self.assertAlmostEqual(count['train'] / 1000, 0.6, delta=0.06)
    self.assertAlmostEqual(count['validation'] / 1000, 0.2, delta=0.05)
    self.assertAlmostEqual(count['test'] / 1000, 0.2, delta=0.05)


if __name__ == '__main__':
  absltest.main()
