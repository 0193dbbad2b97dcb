# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Concepts of the biographies world and the language that describes them.

A concept is something that is true of some tokens of a document. There are two
independent ways to say of which: `annotate` knows it from how the document was
made, and `execute` reads a description and looks at nothing but the words. The
first is the ground truth for dictionary features, the second scores what an
explainer says.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import re

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import words as word_lists


@dataclasses.dataclass(frozen=True)
class Concept:
  """A concept.

  Attributes:
    name: a key such as `person:profession:baker`, used in tables.
    description: English that `execute` understands.
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
_NAMES = (*word_lists.FIRST_NAMES, *word_lists.LAST_NAMES)
_NAME_ROLES = frozenset(['first_name', 'last_name'])
_VALUE_ROLES = frozenset(['stated', 'hinted', 'answered'])
# What the roles of the names in an aside start with.
_OTHER = 'other_'


def all_concepts(world: facts.World) -> tuple[Concept, ...]:
  """Returns every concept of a world, in a fixed order."""
  made = [
    Concept('name', 'a name'),
    Concept('aside', 'a name in an aside'),
  ]
  made += [Concept(role, description) for role, description in _ROLES.items()]
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


def execute(
  world: facts.World, description: str, document: corpus.Document
) -> np.ndarray:
  """Says where a description holds, from the words of the document alone.

  Args:
    world: the world, whose facts descriptions may refer to.
    description: in the language of `all_concepts`.
    document: the document.

  Returns:
    bool `[words]`.

  Raises:
    errors.InputError: if the description is not in the language.
  """
  holds = _parse(world, description)
  words = document.words
  return np.array([holds(words, i) for i in range(len(words))], bool)


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
    for j, relation in enumerate(world.relations):
      yield f'person:{relation.name}:{world.value(named, j)}'
  if role == 'relation_word':
    yield f'relation_word:{about}'
  if role in _VALUE_ROLES:
    yield f'value:{about}'
    yield f'value:{about}:{word}'
  # The stop ends every sentence, so no value is first in one.
  if i + 1 < len(sentence.roles) and sentence.roles[i + 1] in _VALUE_ROLES:
    yield f'before:{about}'


# Whether a description holds at a word of a document.
_Predicate = Callable[[Sequence[str], int], bool]


def _parse(world: facts.World, description: str) -> _Predicate:
  """Returns what a description means."""
  for pattern, meaning in _LANGUAGE:
    match = re.fullmatch(pattern, description)
    if match:
      try:
        return meaning(world, *match.groups())
      except KeyError:
        break  # A word that is no name, relation or value.
  raise errors.InputError(
    f'description {description!r} cannot be executed: expected one like'
    f' {_ROLES["first_name"]!r} with words of this world'
  )


def _one_of(words: Sequence[str]) -> _Predicate:
  return lambda text, i: text[i] in words


def _in_aside(_: facts.World) -> _Predicate:
  return lambda text, i: (
    text[i] in _NAMES and 'unlike' in text[max(i - 2, 0) : i]
  )


def _exactly(words: Sequence[str], word: str) -> _Predicate:
  if word not in words:
    raise KeyError(word)
  return lambda text, i: text[i] == word


def _relation(world: facts.World, name: str) -> facts.Relation:
  return {relation.name: relation for relation in world.relations}[name]


def _values(world: facts.World) -> frozenset[str]:
  return frozenset(v for relation in world.relations for v in relation.values)


def _person_with(world: facts.World, about: str, value: str) -> _Predicate:
  _exactly(_relation(world, about).values, value)
  index = [relation.name for relation in world.relations].index(about)
  people = {
    (person.first, person.last)
    for i, person in enumerate(world.people)
    if world.value(i, index) == value
  }
  # First and last names differ, so at most one of the two pairs is a person.
  return lambda text, i: (
    tuple(text[i : i + 2]) in people or tuple(text[i - 1 : i + 1]) in people
  )


def _announces(world: facts.World, about: str) -> _Predicate:
  phrasings = _relation(world, about).phrasings
  return _one_of([p.words[p.relation_word] for p in phrasings])


def _before(world: facts.World, about: str) -> _Predicate:
  values = _relation(world, about).values
  return lambda text, i: i + 1 < len(text) and text[i + 1] in values


def _hinted(world: facts.World) -> _Predicate:
  values = _values(world)
  return lambda text, i: text[i] in values and text[i - 1] == 'think'


def _answered(world: facts.World) -> _Predicate:
  values = _values(world)
  return lambda text, i: text[i] in values and text[i - 1] == ':'


def _stated(world: facts.World) -> _Predicate:
  values = _values(world)
  return lambda text, i: text[i] in values and text[i - 1] not in ('think', ':')


# The language: patterns, tried in order, and what they mean.
_LANGUAGE: tuple[tuple[str, Callable[..., _Predicate]], ...] = (
  ('a name', lambda _: _one_of(_NAMES)),
  ('a name in an aside', _in_aside),
  (_ROLES['first_name'], lambda _: _one_of(word_lists.FIRST_NAMES)),
  (_ROLES['last_name'], lambda _: _one_of(word_lists.LAST_NAMES)),
  (_ROLES['stated'], _stated),
  (_ROLES['hinted'], _hinted),
  (_ROLES['answered'], _answered),
  (_ROLES['question'], lambda _: _one_of(['question'])),
  (_ROLES['hint'], lambda _: _one_of(['hint'])),
  (_ROLES['answer'], lambda _: _one_of(['answer'])),
  (_ROLES['stop'], lambda _: _one_of(['.'])),
  (
    r'the first name (\S+)',
    lambda _, word: _exactly(word_lists.FIRST_NAMES, word),
  ),
  (
    r'the last name (\S+)',
    lambda _, word: _exactly(word_lists.LAST_NAMES, word),
  ),
  (r'a name of a person whose (\S+) is (\S+)', _person_with),
  (r'a word that announces the (\S+)', _announces),
  (r'the word right before the (\S+)', _before),
  (
    r'a word that names the (\S+)',
    lambda world, about: _one_of(_relation(world, about).values),
  ),
  (
    r'the (\S+) (\S+)',
    lambda world, about, value: _exactly(_relation(world, about).values, value),
  ),
)
