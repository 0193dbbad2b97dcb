# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Concepts of the biographies world: what is true of some tokens of a text.

There are two independent ways to say of which. `annotate` knows it from how the
document was made, and `descriptions.Executor` reads a description and looks at
nothing but the words. The first is the ground truth, the second labels features
and scores what an explainer says.
"""

from collections.abc import Iterator
import dataclasses

import numpy as np

from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import words as word_lists


@dataclasses.dataclass(frozen=True)
class Concept:
  """A concept.

  Attributes:
    name: a key such as `person:profession:baker`, used in tables.
    description: English, in the language of `descriptions`.
  """

  name: str
  description: str


# Concepts that are a role of `corpus.Sentence.roles`.
_ROLES = {
  'first_name': 'a first name',
  'last_name': 'a last name',
  'stated': 'a value that ends a statement',
  'hinted': 'a value that a hint suggests',
  'answered': 'a value that answers a question',
  'question': 'the start of a question',
  'hint': 'the start of a hint',
  'answer': 'the start of an answer',
  'stop': 'the end of a sentence',
}
# Words that are neither names nor values nor start or end anything, each a
# concept of its own; what is not a word has a name.
_MARKS = {':': 'colon', ',': 'comma'}
_PLAIN_ROLES = frozenset(['relation_word', 'phrase', 'frame'])
_NAME_ROLES = frozenset(['first_name', 'last_name'])
_VALUE_ROLES = frozenset(['stated', 'hinted', 'answered'])
# What the roles of the names in an aside start with.
_OTHER = 'other_'


def plain_words(world: facts.World) -> dict[str, str]:
  """Returns the words of prompts that are concepts, by the concept's name."""
  found = {word for word in corpus.FRAME_WORDS if word not in (*_ROLES, '.')}
  for relation in world.relations:
    found.update(*(phrasing.words for phrasing in relation.phrasings))
  return {f'word:{_MARKS.get(word, word)}': word for word in sorted(found)}


def all_concepts(world: facts.World) -> tuple[Concept, ...]:
  """Returns every concept of a world, in a fixed order."""
  made = [
    Concept('name', 'a name'),
    Concept('aside', 'a name in an aside'),
  ]
  made += [Concept(role, description) for role, description in _ROLES.items()]
  for name, word in plain_words(world).items():
    mark = _MARKS.get(word)
    made.append(Concept(name, f'a {mark}' if mark else f'the word {word}'))
  for first in word_lists.FIRST_NAMES:
    made.append(Concept(f'first_name:{first}', f'the first name {first}'))
  for last in word_lists.LAST_NAMES:
    made.append(Concept(f'last_name:{last}', f'the last name {last}'))
  for relation in world.relations:
    about = relation.name
    made += [
      Concept(f'relation_word:{about}', f'a word that announces the {about}'),
      Concept(f'before:{about}', f'the word right before the {about}'),
      Concept(f'value:{about}', f'a word that names the {about}'),
    ]
    for value in relation.values:
      made.append(Concept(f'value:{about}:{value}', f'the {about} {value}'))
      made.append(
        Concept(
          f'person:{about}:{value}',
          f'a name of a person whose {about} is {value}',
        )
      )
      made.append(
        Concept(
          f'before:{about}:{value}',
          f'the word right before the {about} {value}',
        )
      )
  for person in world.people:
    made.append(Concept(f'person:{person.name}', f'a name of {person.name}'))
  return tuple(made)


def annotate(
  world: facts.World, document: corpus.Document
) -> dict[str, np.ndarray]:
  """Says where each concept holds, from how the document was made.

  Returns:
    for the name of each of `all_concepts`, bool `[words]`.
  """
  names = [concept.name for concept in all_concepts(world)]
  total = len(document.words)
  marks = dict(zip(names, np.zeros((len(names), total), bool), strict=True))
  start = 0
  for sentence in document.sentences:
    for i in range(len(sentence.words)):
      for name in _names_at(world, sentence, i):
        marks[name][start + i] = True
    start += len(sentence.words)
  return marks


def _names_at(
  world: facts.World, sentence: corpus.Sentence, i: int
) -> Iterator[str]:
  """Yields the names of the concepts that hold at word i of a sentence."""
  word, role = sentence.words[i], sentence.roles[i]
  about = world.relations[sentence.relation].name
  named: int | None = sentence.person
  if role.startswith(_OTHER):
    # A name is a name, whether the sentence is about that person or not.
    role = role.removeprefix(_OTHER)
    named = sentence.aside
    yield 'aside'
  if role in _ROLES:
    yield role
  if role in _NAME_ROLES and named is not None:
    yield 'name'
    yield f'{role}:{word}'
    yield f'person:{world.people[named].name}'
    for j, relation in enumerate(world.relations):
      yield f'person:{relation.name}:{world.value(named, j)}'
  if role in _PLAIN_ROLES:
    yield f'word:{_MARKS.get(word, word)}'
  if role == 'relation_word':
    yield f'relation_word:{about}'
  if role in _VALUE_ROLES:
    yield f'value:{about}'
    yield f'value:{about}:{word}'
  # The stop ends every sentence, so no value is first in one.
  if i + 1 < len(sentence.roles) and sentence.roles[i + 1] in _VALUE_ROLES:
    yield f'before:{about}'
    yield f'before:{about}:{sentence.words[i + 1]}'
