# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of concepts: annotations against executed descriptions."""

import re

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts

WORLD = facts.make_world(2)
KNOWN = facts.known_facts(WORLD, 1)
DOCUMENTS = [corpus.document(WORLD, KNOWN, 1, i, 64) for i in range(250)]


def _fires(description, document):
  """Returns the words at which a description fires."""
  marks = concepts.execute(WORLD, description, document)
  return [w for w, m in zip(document.words, marks, strict=True) if m]


class ConceptsTest(parameterized.TestCase):
  def test_executing_every_description_gives_its_annotation(self):
    every = concepts.all_concepts(WORLD)
    fired = {concept.name: 0 for concept in every}
    for document in DOCUMENTS:
      marks = concepts.annotate(WORLD, document)
      self.assertEqual(list(marks), list(fired))
      for concept in every:
        executed = concepts.execute(WORLD, concept.description, document)
        self.assertEqual(executed.dtype, bool)
        np.testing.assert_array_equal(
          executed, marks[concept.name], err_msg=concept.description
        )
        fired[concept.name] += executed.sum()
    self.assertGreater(min(fired.values()), 0, 'a concept was never seen')

  def test_names_and_descriptions_differ_and_are_plain_words(self):
    every = concepts.all_concepts(WORLD)
    self.assertLen({c.name for c in every}, len(every))
    self.assertLen({c.description for c in every}, len(every))
    for concept in every:
      self.assertRegex(concept.description, '^[a-z]+( [a-z]+)*$')

  def test_an_example_by_hand(self):
    world = facts.make_world(2)
    person, other = world.people[0], world.people[1]
    true = world.value(0, 2), world.value(1, 2)
    wrong = next(v for v in world.relations[2].values if v not in true)
    # What is asserted of the one must not hold of the other.
    self.assertNotEqual(*true)
    self.assertNotEqual(person.last, other.last)
    said = (
      f'{person.name} , unlike {other.name} , speaks fluent'
      f' {world.value(0, 0)} .'
    )
    asked = (
      f'question : {person.name} works as a hint : i think {wrong}'
      f' answer : {world.value(0, 2)} .'
    )
    # Made without roles or indices: the words must be enough.
    document = corpus.Document(
      tuple(
        corpus.Sentence(-1, -1, None, tuple(text.split()), roles=())
        for text in (said, asked)
      )
    )
    own, others = [person.first, person.last], [other.first, other.last]
    for description, expected in {
      'a name': own + others + own,
      'a name in an aside': others,
      'a first name': [person.first, other.first, person.first],
      f'the last name {person.last}': [person.last] * 2,
      f'the last name {other.last}': [other.last],
      f'a name of a person whose profession is {world.value(0, 2)}': own * 2,
      f'a name of a person whose profession is {world.value(1, 2)}': others,
      f'a name of a person whose profession is {wrong}': [],
      'a word that announces the language': ['speaks'],
      'a word that announces the profession': ['works'],
      'the word right before the profession': ['think', ':'],
      'the word right before the language': ['fluent'],
      'a value that ends a statement': [world.value(0, 0)],
      'a value that a hint suggests': [wrong],
      'a value that answers a question': [world.value(0, 2)],
      'a word that names the profession': [wrong, world.value(0, 2)],
      f'the profession {wrong}': [wrong],
      'the start of a hint': ['hint'],
      'the end of a sentence': ['.', '.'],
    }.items():
      self.assertEqual(_fires(description, document), expected, description)

  def test_aside_before_the_names(self):
    person, other = WORLD.people[3], WORLD.people[4]
    for opening in ('', 'question : '):
      text = f'{opening}unlike {other.name} , {person.name} plays the harp .'
      sentence = corpus.Sentence(-1, -1, None, tuple(text.split()), roles=())
      self.assertEqual(
        _fires('a name in an aside', corpus.Document((sentence,))),
        [other.first, other.last],
      )

  @parameterized.parameters(
    '',
    'a',
    'A name',
    'a name ',
    'a name of a person',
    'a name in aside',
    'the first name smith',
    'the last name anna',
    'the profession french',
    'the hobby chess',
    'a name of a person whose profession is french',
    'a name of a person whose hobby is chess',
    'a word that announces the hobby',
    'a word that names the hobby',
    'the word right before the hobby',
  )
  def test_refuses(self, description):
    with self.assertRaisesRegex(
      errors.InputError, re.escape(f'{description!r} cannot be executed')
    ):
      concepts.execute(WORLD, description, DOCUMENTS[0])


if __name__ == '__main__':
  absltest.main()
