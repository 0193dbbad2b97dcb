# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of questions with hints, read back from their text."""

import collections

from absl.testing import absltest
import numpy as np

from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import hints
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(3, 60)
KNOWN = facts.known_facts(WORLD, 1)
TOKENIZER = vocabulary.build_tokenizer(WORLD, [])
PERSON = {person.name: p for p, person in enumerate(WORLD.people)}
RELATION = {relation.name: r for r, relation in enumerate(WORLD.relations)}


def _hints(seed=0):
  return hints.all_prompts(WORLD, KNOWN, TOKENIZER, seed)


class AllPromptsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.asked = _hints()
    cls.prompts = cls.asked.prompts

  def each(self):
    """Yields (index, person, relation, phrasing, hinted) of each prompt."""
    for n, (group, kind) in enumerate(
      zip(self.prompts.group, self.prompts.kind, strict=True)
    ):
      relation, phrasing, hinted = kind.split('/')
      self.assertIn(hinted, ('with hint', 'without hint'))
      yield (
        n,
        PERSON[group],
        RELATION[relation],
        int(phrasing),
        hinted == 'with hint',
      )

  def test_every_fact_is_hinted_and_known_ones_are_asked_plainly_too(self):
    found = collections.Counter(asked[1:] for asked in self.each())
    expected = {
      (p, r, h, hinted)
      for p, r in np.ndindex(KNOWN.shape)
      for h in range(3)
      for hinted in (True, False)
      if hinted or KNOWN[p, r]
    }
    self.assertEqual(found, collections.Counter(expected))
    self.assertTrue(any(not known for known in self.prompts.known))

  def test_texts_are_put_as_the_corpus_puts_them(self):
    for n, p, r, h, hinted in self.each():
      words = ['question', ':', *WORLD.prompt(p, r, h).words]
      text = self.prompts.text[n].split()
      if hinted:
        value = text[-3]
        self.assertIn(value, WORLD.relations[r].values)
        words += ['hint', ':', 'i', 'think', value]
      self.assertEqual(text, [*words, 'answer', ':'])
      ids = list(self.prompts.ids[n])
      self.assertEqual(ids, TOKENIZER.encode_prompt(' '.join(text)))
      self.assertLen(ids, len(text) + 1)

  def test_what_is_known_of_each(self):
    for n, p, r, _, _ in self.each():
      self.assertEqual(self.prompts.split[n], WORLD.people[p].split)
      self.assertEqual(self.prompts.known[n], KNOWN[p, r])
      self.assertEqual(
        TOKENIZER.token(int(self.prompts.answer[n])), WORLD.value(p, r)
      )

  def test_hints_are_right_about_half_the_time_and_else_anything(self):
    each, counts = list(self.each()), collections.Counter()
    for seed in range(8):
      texts = _hints(seed).prompts.text
      for n, p, r, _, hinted in each:
        if hinted:
          values = WORLD.relations[r].values
          told = values.index(texts[n].split()[-3])
          counts[r, (told - WORLD.facts[p][r]) % len(values)] += 1
    for r, relation in enumerate(WORLD.relations):
      right, *wrong = (counts[r, o] for o in range(len(relation.values)))
      total = right + sum(wrong)
      self.assertEqual(total, 8 * 3 * 60)
      # Four standard deviations, and of each wrong value five.
      self.assertBetween(
        right / total, 0.5 - 2 / total**0.5, 0.5 + 2 / total**0.5
      )
      expected = sum(wrong) / len(wrong)
      self.assertGreater(expected, 25)
      self.assertGreater(min(wrong), expected - 5 * expected**0.5)
      self.assertLess(max(wrong), expected + 5 * expected**0.5)

  def test_spans_are_what_they_say(self):
    self.assertEqual(tuple(self.asked.spans), hints.SPAN_KINDS)
    for n, p, r, h, hinted in self.each():
      words = self.prompts.text[n].split()
      phrasing = WORLD.relations[r].phrasings[h]
      expected = {
        'hint': words[-7:-2] if hinted else [],
        'first_name': [WORLD.people[p].first],
        'last_name': [WORLD.people[p].last],
        'relation_word': [phrasing.words[phrasing.relation_word]],
      }
      for kind, own in expected.items():
        ids = self.asked.tokens(kind, n)
        self.assertEqual([TOKENIZER.token(i) for i in ids], own)
        start, end = self.asked.spans[kind][n].tolist()
        self.assertEqual((start, end) == (0, 0), not own)
        # BOS is counted.
        self.assertEqual(words[max(start - 1, 0) : max(end - 1, 0)], own)
      if hinted:
        self.assertEqual(expected['hint'][0], 'hint')

  def test_any_token_is_one_word_and_each_about_as_often(self):
    start, end = self.asked.spans['any_token'].T
    np.testing.assert_array_equal(end, start + 1)
    lengths = np.array([len(ids) for ids in self.prompts.ids])
    self.assertTrue(np.all((start >= 1) & (end <= lengths)))
    share = (start - 1) / (lengths - 1)
    self.assertBetween(np.mean(share < 0.5), 0.45, 0.6)
    # Both ends occur: the first word, and the colon that is answered.
    self.assertGreater(np.sum(start == 1), 20)
    self.assertGreater(np.sum(end == lengths), 20)

  def test_is_a_function_of_the_seed(self):
    again, other = _hints(), _hints(seed=1)
    self.assertEqual(again.prompts.text, self.prompts.text)
    for kind, spans in self.asked.spans.items():
      np.testing.assert_array_equal(again.spans[kind], spans)
    self.assertNotEqual(other.prompts.text, self.prompts.text)
    self.assertFalse(
      np.array_equal(other.spans['any_token'], self.asked.spans['any_token'])
    )
    # Only hints, and which token is any, are drawn.
    self.assertEqual(other.prompts.kind, self.prompts.kind)
    np.testing.assert_array_equal(other.spans['hint'], self.asked.spans['hint'])


if __name__ == '__main__':
  absltest.main()
