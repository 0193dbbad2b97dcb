# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the biographies world's facts."""

import collections
import dataclasses
import itertools
import re

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import words


class WordsTest(absltest.TestCase):
  def test_every_word_is_in_one_list(self):
    world = facts.make_world(0)
    phrasings = [p for r in world.relations for p in r.phrasings]
    lists = [words.FIRST_NAMES, words.LAST_NAMES, corpus.FRAME_WORDS]
    lists += [r.values for r in world.relations]
    # Phrasings share small words such as `in`.
    lists += [{w for p in phrasings for w in p.words}]
    every = list(itertools.chain(*lists))
    self.assertLen(set(every), len(every))
    for word in set(every) - {',', ':', '.'}:
      self.assertRegex(word, '^[a-z]+$')

  def test_relation_word_is_nothing_else_anywhere(self):
    world = facts.make_world(0)
    phrasings = [p for r in world.relations for p in r.phrasings]
    count = collections.Counter(w for p in phrasings for w in p.words)
    for phrasing in phrasings:
      self.assertEqual(count[phrasing.words[phrasing.relation_word]], 1)

  def test_sizes(self):
    self.assertLen(words.FIRST_NAMES, 24)
    self.assertLen(words.LAST_NAMES, 24)
    self.assertEqual(words.VALUES.keys(), words.PHRASINGS.keys())
    for relation in facts.make_world(0).relations:
      self.assertBetween(len(relation.values), 15, 20)
      self.assertLen(relation.phrasings, 3)

  def test_professions_follow_a(self):
    for profession in words.VALUES['profession']:
      self.assertNotIn(profession[0], 'aeiou')


class WorldTest(parameterized.TestCase):
  @parameterized.parameters(48, 200, 576)
  def test_identity_needs_both_names(self, people):
    world = facts.make_world(3, people)
    self.assertLen({p.name for p in world.people}, people)
    for part in ('first', 'last'):
      count = collections.Counter(getattr(p, part) for p in world.people)
      self.assertLen(count, 24)
      self.assertGreaterEqual(min(count.values()), people // 24)

  def test_order_of_people_does_not_tell_names(self):
    people = facts.make_world(3).people
    # Names are dealt in rounds of 24 different first names, then shuffled.
    self.assertLess(len({p.first for p in people[:24]}), 24)

  def test_splits(self):
    world = facts.make_world(3)
    splits = [p.split for p in world.people]
    self.assertEqual(
      collections.Counter(splits), {'train': 120, 'validation': 40, 'test': 40}
    )
    # Neither the order of people nor a first name tells the split.
    self.assertGreater(sum(a != b for a, b in itertools.pairwise(splits)), 70)
    firsts = {p.first for p in world.people if p.split == 'train'}
    self.assertGreater(len(firsts), 20)

  def test_values_are_independent_and_uniform(self):
    world = facts.make_world(5, 576)
    drawn = np.array(world.facts)
    for j, relation in enumerate(world.relations):
      count = np.bincount(drawn[:, j], minlength=len(relation.values))
      self.assertLen(count, len(relation.values))
      expected = 576 / len(count)
      self.assertLess(np.abs(count - expected).max(), 5 * expected**0.5)
    self.assertLess(np.abs(np.corrcoef(drawn.T) - np.eye(5)).max(), 0.2)

  def test_value(self):
    world = facts.make_world(0)
    index = world.facts[7][2]
    self.assertEqual(world.value(7, 2), words.VALUES['profession'][index])

  def test_digest_tells_worlds_apart(self):
    self.assertEqual(facts.make_world(1), facts.make_world(1))
    worlds = [facts.make_world(1), facts.make_world(2), facts.make_world(1, 99)]
    self.assertEqual(worlds[0].digest(), facts.make_world(1).digest())
    self.assertLen({world.digest() for world in worlds}, 3)

  def test_digest_covers_every_field(self):
    one, two = facts.make_world(1), facts.make_world(2)
    for changed in (
      dataclasses.replace(one, people=two.people),
      dataclasses.replace(one, facts=two.facts),
      dataclasses.replace(one, relations=one.relations[::-1]),
    ):
      self.assertNotEqual(changed.digest(), one.digest())

  @parameterized.parameters(0, 47, 577)
  def test_refuses_number_of_people(self, people):
    with self.assertRaisesRegex(errors.InputError, f'{people}.*48 to 576'):
      facts.make_world(0, people)


class PromptTest(absltest.TestCase):
  def test_positions_of_an_example(self):
    world = facts.make_world(0)
    prompt = world.prompt(4, 0, 1)
    person = world.people[4]
    self.assertEqual(prompt.text, f'{person.name} has the native language')
    self.assertEqual(
      prompt.positions,
      {'first_name': 1, 'last_name': 2, 'relation_word': 5, 'last_token': 6},
    )

  def test_every_prompt(self):
    world = facts.make_world(0)
    for relation, about in enumerate(world.relations):
      texts = re.findall(r'\*(\w+)\*', ' '.join(words.PHRASINGS[about.name]))
      for phrasing in range(len(about.phrasings)):
        prompt = world.prompt(0, relation, phrasing)
        at = prompt.positions
        self.assertEqual(tuple(at), facts.POSITION_KINDS)
        self.assertBetween(len(prompt.words), 4, 7)
        self.assertEqual(at['last_token'], len(prompt.words))
        self.assertLess(at['relation_word'], at['last_token'])
        self.assertEqual(prompt.words[at['relation_word'] - 1], texts[phrasing])


class KnownFactsTest(parameterized.TestCase):
  def test_share_and_seed(self):
    world = facts.make_world(0)
    known = facts.known_facts(world, 1)
    self.assertEqual((known.shape, known.dtype), ((200, 5), bool))
    self.assertEqual(known.sum(), 750)
    np.testing.assert_array_equal(known, facts.known_facts(world, 1))
    other = facts.known_facts(world, 2)
    # Independent sets agree on 0.75^2 + 0.25^2 of the facts.
    self.assertAlmostEqual((known == other).mean(), 0.625, delta=0.06)
    # The world's content has no say in which facts are known.
    np.testing.assert_array_equal(
      known, facts.known_facts(facts.make_world(9), 1)
    )

  @parameterized.parameters(0.0, 1.0, -0.5, 1.5)
  def test_refuses_share(self, share):
    with self.assertRaisesRegex(errors.InputError, f'share={share}'):
      facts.known_facts(facts.make_world(0), 1, share)


if __name__ == '__main__':
  absltest.main()
