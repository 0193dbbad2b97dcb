# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of concepts, and of annotating documents with them."""

from absl.testing import absltest

from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts

WORLD = facts.make_world(2)
KNOWN = facts.known_facts(WORLD, 1)


class ConceptsTest(absltest.TestCase):
  def test_names_and_descriptions_differ_and_are_plain_words(self):
    every = concepts.all_concepts(WORLD)
    self.assertLen({c.name for c in every}, len(every))
    self.assertLen({c.description for c in every}, len(every))
    for concept in every:
      self.assertRegex(concept.description, '^[a-z]+( [a-z]+)*$')

  def test_everybody_is_a_concept(self):
    described = {c.name: c.description for c in concepts.all_concepts(WORLD)}
    for person in WORLD.people:
      self.assertEqual(
        described[f'person:{person.name}'], f'a name of {person.name}'
      )

  def test_annotations_by_hand(self):
    person, other = WORLD.people[0], WORLD.people[1]
    wrong = next(
      v
      for v in WORLD.relations[2].values
      if v not in (WORLD.value(0, 2), WORLD.value(1, 2))
    )
    self.assertNotEqual(WORLD.value(0, 2), WORLD.value(1, 2))
    words = (
      f'question : {person.name} , unlike {other.name} , works as a hint : i'
      f' think {wrong} answer : {WORLD.value(0, 2)} .'
    ).split()
    roles = (
      'question frame first_name last_name frame frame other_first_name'
      ' other_last_name frame relation_word phrase phrase hint frame frame'
      ' frame hinted answer frame answered stop'
    ).split()
    sentence = corpus.Sentence(0, 2, 1, tuple(words), tuple(roles))
    marks = concepts.annotate(WORLD, corpus.Document((sentence,)))
    own, others = [2, 3], [6, 7]
    for name, expected in {
      'name': own + others,
      'aside': others,
      'last_name': [3, 7],
      f'person:{person.name}': own,
      f'person:{other.name}': others,
      f'person:{WORLD.people[2].name}': [],
      f'person:profession:{WORLD.value(0, 2)}': own,
      f'person:profession:{WORLD.value(1, 2)}': others,
      'relation_word:profession': [9],
      'before:profession': [15, 18],
      'value:profession': [16, 19],
      f'value:profession:{wrong}': [16],
      'hinted': [16],
      'answered': [19],
      'stated': [],
      'stop': [20],
    }.items():
      self.assertEqual(marks[name].nonzero()[0].tolist(), expected, name)

  def test_every_concept_is_seen_in_the_corpus(self):
    seen = set()
    for index in range(250):
      document = corpus.document(WORLD, KNOWN, 1, index, 64)
      marks = concepts.annotate(WORLD, document)
      seen.update(name for name, held in marks.items() if held.any())
    self.assertEqual(seen, {c.name for c in concepts.all_concepts(WORLD)})


if __name__ == '__main__':
  absltest.main()
