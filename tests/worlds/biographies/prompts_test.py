# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the questions about the people of a world."""

import collections

from absl.testing import absltest
import numpy as np

from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import prompts
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(3, 50)
KNOWN = facts.known_facts(WORLD, 1)
TOKENIZER = vocabulary.build_tokenizer(WORLD, [])
PROMPTS = prompts.all_prompts(WORLD, KNOWN, TOKENIZER)


class AllPromptsTest(absltest.TestCase):
  def test_one_for_each_person_relation_and_phrasing_in_order(self):
    kinds = [f'{r.name}/{h}' for r in WORLD.relations for h in range(3)]
    self.assertLen(PROMPTS, 50 * 15)
    self.assertEqual(list(PROMPTS.kind), kinds * 50)
    self.assertEqual(
      list(PROMPTS.group), [p.name for p in WORLD.people for _ in kinds]
    )
    self.assertEqual(
      list(PROMPTS.split), [p.split for p in WORLD.people for _ in kinds]
    )
    self.assertLen(set(PROMPTS.text), 50 * 15)

  def test_ids_are_bos_and_words(self):
    for ids, text in zip(PROMPTS.ids, PROMPTS.text, strict=True):
      words = [TOKENIZER.token(i) for i in ids]
      self.assertEqual(words, ['<|bos|>', *text.split()])

  def test_text_asks_for_the_answer_about_the_group(self):
    phrases = {
      f'{relation.name}/{h}': ' '.join(phrasing.words)
      for relation in WORLD.relations
      for h, phrasing in enumerate(relation.phrasings)
    }
    names = [relation.name for relation in WORLD.relations]
    people = {person.name: p for p, person in enumerate(WORLD.people)}
    for i, (kind, group) in enumerate(
      zip(PROMPTS.kind, PROMPTS.group, strict=True)
    ):
      self.assertEqual(PROMPTS.text[i], f'{group} {phrases[kind]}')
      relation = names.index(kind.split('/')[0])
      answer = TOKENIZER.token(int(PROMPTS.answer[i]))
      self.assertEqual(answer, WORLD.value(people[group], relation))
      self.assertEqual(PROMPTS.known[i], KNOWN[people[group], relation])
    self.assertEqual(PROMPTS.known.dtype, bool)
    self.assertEqual(PROMPTS.answer.dtype, np.int32)

  def test_positions_point_at_the_tokens_that_they_name(self):
    self.assertEqual(tuple(PROMPTS.positions), facts.POSITION_KINDS)
    announcing = {
      phrasing.words[phrasing.relation_word]
      for relation in WORLD.relations
      for phrasing in relation.phrasings
    }
    of_kind = collections.defaultdict(set)
    for i, ids in enumerate(PROMPTS.ids):
      at = {kind: int(where[i]) for kind, where in PROMPTS.positions.items()}
      token = {kind: TOKENIZER.token(ids[where]) for kind, where in at.items()}
      name = f'{token["first_name"]} {token["last_name"]}'
      self.assertEqual(name, PROMPTS.group[i])
      self.assertIn(token['relation_word'], announcing)
      self.assertEqual(at['last_token'], len(ids) - 1)
      of_kind[PROMPTS.kind[i]].add(tuple(at.values()))
    # Prompts of one kind can be each other's counterfactual.
    for kind, positions in of_kind.items():
      self.assertLen(positions, 1, kind)


if __name__ == '__main__':
  absltest.main()
