# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of executing descriptions against annotations and by hand."""

import re

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.tasks import labels
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(2)
KNOWN = facts.known_facts(WORLD, 1)
TOKENIZER = vocabulary.build_tokenizer(WORLD, descriptions.words(WORLD))
LENGTH = 48


def _executor(*texts):
  """Returns an executor of texts of equally many words."""
  rows = [TOKENIZER.encode_prompt(text) for text in texts]
  return descriptions.Executor(WORLD, TOKENIZER, np.array(rows))


def _fires(description, text):
  """Returns the words at which a description fires."""
  held = _executor(text).holds(description)[0]
  return [w for w, m in zip(text.split(), held[1:], strict=True) if m]


class DescriptionsTest(parameterized.TestCase):
  def test_executing_every_description_gives_its_annotation(self):
    rows, marks = [], []
    for index in range(120):
      row = corpus.row(WORLD, KNOWN, TOKENIZER, 1, index, LENGTH)
      rows.append(row['tokens'])
      document = corpus.document(WORLD, KNOWN, 1, index, LENGTH - 1)
      marks.append(concepts.annotate(WORLD, document))
    executor = descriptions.Executor(WORLD, TOKENIZER, np.stack(rows))
    cut_names = executor.holds('a first name')[:, -1]
    unknown = 0
    for concept in concepts.all_concepts(WORLD):
      expected = np.zeros((len(rows), LENGTH), bool)
      expected[:, 1:] = [m[concept.name][: LENGTH - 1] for m in marks]
      # What follows the row is not known to whoever executes a description.
      last = expected[:, -1].copy()
      if concept.name.startswith('before:'):
        expected[:, -1] = False
      elif concept.name.startswith('person:'):
        expected[cut_names, -1] = False
      unknown += (expected[:, -1] != last).sum()
      held = executor.holds(concept.description)
      self.assertEqual(held.dtype, bool)
      np.testing.assert_array_equal(held, expected, concept.description)
    self.assertGreater(unknown, 5, 'no row was cut where that matters')

  def test_an_example_by_hand(self):
    person, other = WORLD.people[0], WORLD.people[1]
    true = WORLD.value(0, 2), WORLD.value(1, 2)
    wrong = next(v for v in WORLD.relations[2].values if v not in true)
    # What is asserted of the one must not hold of the other.
    self.assertNotEqual(*true)
    self.assertNotEqual(person.last, other.last)
    text = (
      f'{person.name} , unlike {other.name} , speaks fluent'
      f' {WORLD.value(0, 0)} .'
      f' question : {person.name} works as a hint : i think {wrong}'
      f' answer : {WORLD.value(0, 2)} .'
    )
    own, others = [person.first, person.last], [other.first, other.last]
    for description, expected in {
      'a name': own + others + own,
      'a name in an aside': others,
      'a first name': [person.first, other.first, person.first],
      f'the last name {person.last}': [person.last] * 2,
      f'the last name {other.last}': [other.last],
      f'a name of {person.name}': own * 2,
      f'a name of {other.name}': others,
      f'a name of {WORLD.people[2].name}': [],
      f'a name of a person whose profession is {true[0]}': own * 2,
      f'a name of a person whose profession is {true[1]}': others,
      f'a name of a person whose profession is {wrong}': [],
      'a word that announces the language': ['speaks'],
      'a word that announces the profession': ['works'],
      'the word right before the profession': ['think', ':'],
      'the word right before the language': ['fluent'],
      'a value that ends a statement': [WORLD.value(0, 0)],
      'a value that a hint suggests': [wrong],
      'a value that answers a question': [WORLD.value(0, 2)],
      'a word that names the profession': [wrong, WORLD.value(0, 2)],
      f'the profession {wrong}': [wrong],
      'the start of a question': ['question'],
      'the start of a hint': ['hint'],
      'the start of an answer': ['answer'],
      'the end of a sentence': ['.', '.'],
      'a first name and also a name in an aside': [other.first],
      f'a last name and also a name of {person.name}': [person.last] * 2,
      'a first name and also a last name': [],
    }.items():
      self.assertEqual(_fires(description, text), expected, description)

  def test_asides_before_the_names(self):
    person, other = WORLD.people[3], WORLD.people[4]
    for opening in ('', 'question : '):
      text = f'{opening}unlike {other.name} , {person.name} plays the harp .'
      self.assertEqual(
        _fires('a name in an aside', text), [other.first, other.last]
      )

  def test_two_names_of_nobody_are_names(self):
    named = {(p.first, p.last) for p in WORLD.people}
    first, last = next(
      (p.first, q.last)
      for p in WORLD.people
      for q in WORLD.people
      if (p.first, q.last) not in named
    )
    text = f'{first} {last} plays the harp .'
    self.assertEqual(_fires('a name', text), [first, last])
    for person in WORLD.people:
      self.assertEqual(_fires(f'a name of {person.name}', text), [])

  def test_rows_do_not_touch(self):
    person = WORLD.people[0]
    executor = _executor(
      f'unlike {person.first}', f'{person.last} harp', f'harp {person.first}'
    )
    for description, expected in {
      f'a name of {person.name}': [],
      'a name in an aside': [[0, 2]],
      'the word right before the instrument': [[1, 1], [2, 0]],
    }.items():
      held = executor.holds(description)
      self.assertEqual(np.argwhere(held).tolist(), expected, description)
    # Not even without BOS between them.
    rows = np.array([TOKENIZER.encode(text) for text in ('i think', 'harp .')])
    executor = descriptions.Executor(WORLD, TOKENIZER, rows)
    for description, expected in {
      'the word right before the instrument': [],
      'a value that a hint suggests': [],
      'a value that ends a statement': [[1, 0]],
    }.items():
      held = executor.holds(description)
      self.assertEqual(np.argwhere(held).tolist(), expected, description)

  def test_special_tokens_are_nothing(self):
    ids = [TOKENIZER.id_of(token) for token in TOKENIZER.special.values()]
    executor = descriptions.Executor(WORLD, TOKENIZER, np.array([ids]))
    for concept in concepts.all_concepts(WORLD):
      self.assertFalse(executor.holds(concept.description).any())

  def test_what_is_remembered_cannot_be_changed(self):
    executor = _executor('harp .')
    with self.assertRaises(ValueError):
      executor.holds('the end of a sentence')[:] = True

  def test_both_orders_are_the_same(self):
    text = f'{WORLD.people[5].name} plays the harp .'
    one, two = 'a last name', f'a name of {WORLD.people[5].name}'
    for description in (f'{one} and also {two}', f'{two} and also {one}'):
      self.assertEqual(_fires(description, text), [WORLD.people[5].last])

  def test_words_are_those_that_the_corpus_lacks(self):
    found = descriptions.words(WORLD)
    self.assertEqual(found, tuple(sorted(set(found))))
    self.assertFalse(set(found) & set(vocabulary.corpus_words(WORLD)))
    every = [c.description for c in concepts.all_concepts(WORLD)]
    both = [labels.AND.join(every[:2]), labels.AND.join(every[-2:])]
    for text in every + both:
      ids = TOKENIZER.encode(text)
      self.assertEqual(TOKENIZER.decode(ids), text)
    lacking = vocabulary.build_tokenizer(WORLD, found[1:])
    with self.assertRaisesRegex(errors.InputError, f'word {found[0]!r}'):
      lacking.encode(found[0])

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
    'a name of anna smith',
    'a name of a person whose profession is french',
    'a name of a person whose hobby is chess',
    'a word that announces the hobby',
    'a word that names the hobby',
    'the word right before the hobby',
    'a name and also',
    'a name and also ',
    'a name and also a dog',
    'a name and also a name',
    'a name and a first name',
    'a name and also a first name and also a last name',
  )
  def test_refuses(self, description):
    message = re.escape(f'{description!r} cannot be executed')
    with self.assertRaisesRegex(errors.InputError, message):
      _executor('harp .').holds(description)

  def test_refuses_people_of_another_world(self):
    other = facts.make_world(3)
    names = {person.name for person in WORLD.people}
    stranger = next(p.name for p in other.people if p.name not in names)
    tokens = np.array([[1]])
    there = descriptions.Executor(other, TOKENIZER, tokens)
    self.assertFalse(there.holds(f'a name of {stranger}').any())
    here = descriptions.Executor(WORLD, TOKENIZER, tokens)
    with self.assertRaisesRegex(errors.InputError, stranger):
      here.holds(f'a name of {stranger}')

  def test_refuses_ids_that_are_no_token(self):
    with self.assertRaisesRegex(errors.InputError, 'no token has the id 9999'):
      descriptions.Executor(WORLD, TOKENIZER, np.array([[1, 9999]]))


if __name__ == '__main__':
  absltest.main()
