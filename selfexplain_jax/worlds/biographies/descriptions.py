# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The language that describes concepts, and executing it on documents.

A description is that of a concept, or of two that both hold at a token:

    a name of anna keller
    a last name and also a name of a person whose profession is baker

Executing one says at which tokens it holds, from the words of the documents
and the facts of the world alone.
"""

from collections.abc import Iterable, Mapping
import functools

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import labels
from selfexplain_jax.worlds.biographies import concepts
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary
from selfexplain_jax.worlds.biographies import words as word_lists


def words(world: facts.World) -> tuple[str, ...]:
  """Returns the words of descriptions that no document contains, sorted."""
  texts = (labels.AND, *(c.description for c in concepts.all_concepts(world)))
  used = {word for text in texts for word in text.split()}
  return tuple(sorted(used.difference(vocabulary.corpus_words(world))))


class Executor:
  """Executes descriptions on many documents at once.

  A document is a row of tokens: BOS, which no description holds at, and what
  follows, cut at the end of the row. What would follow there is unknown, so a
  last token is not the word before a value, and a first name at the end is a
  first name but nobody's.
  """

  def __init__(
    self,
    world: facts.World,
    tokenizer: tokenizer_lib.Tokenizer,
    tokens_SxT: np.ndarray,
  ):
    """Looks up the words of the documents.

    Args:
      world: the world, whose facts descriptions may refer to.
      tokenizer: the world's tokenizer.
      tokens_SxT: int [S, T], a document a row; special tokens anywhere.

    Raises:
      errors.InputError: if an id is not in the vocabulary.
    """
    self._world = world
    self._language = _language(world)
    used, index = np.unique(tokens_SxT, return_inverse=True)
    self._vocabulary = [tokenizer.token(int(i)) for i in used]
    # Indices into the words that occur, so that a set of words is a table.
    self._words_SxT = index.reshape(np.shape(tokens_SxT))
    self._held: dict[str, np.ndarray] = {}

  def holds(self, description: str) -> np.ndarray:
    """Returns where a description holds, bool [S, T], read-only.

    Raises:
      errors.InputError: if the description is not in the language.
    """
    parts = _parse(self._language, description)
    held = [self._part(part) for part in parts]
    return held[0] if len(held) == 1 else held[0] & held[1]

  def _part(self, part: str) -> np.ndarray:
    """Executes the description of one concept, once."""
    if part not in self._held:
      _, concept = self._language[part]
      held = self._execute(concept)
      held.flags.writeable = False
      self._held[part] = held
    return self._held[part]

  def _execute(self, concept: str) -> np.ndarray:
    """Says where a concept holds, by its name."""
    match concept.split(':'):
      case ['name']:
        return self._one_of(_NAMES)
      case ['aside']:
        opened = _next(self._one_of(['unlike']))
        return self._one_of(_NAMES) & (opened | _next(opened))
      case ['first_name']:
        return self._one_of(word_lists.FIRST_NAMES)
      case ['last_name']:
        return self._one_of(word_lists.LAST_NAMES)
      case ['stated']:
        return self._value() & ~_next(self._one_of(['think', ':']))
      case ['hinted']:
        return self._value() & _next(self._one_of(['think']))
      case ['answered']:
        return self._value() & _next(self._one_of([':']))
      case ['question' | 'hint' | 'answer' as word]:
        return self._one_of([word])
      case ['stop']:
        return self._one_of(['.'])
      case ['first_name' | 'last_name', name]:
        return self._one_of([name])
      case ['relation_word', about]:
        phrasings = self._relation(about).phrasings
        return self._one_of(p.words[p.relation_word] for p in phrasings)
      case ['word', _]:
        return self._one_of([concepts.plain_words(self._world)[concept]])
      case ['before', _, value]:
        return _previous(self._one_of([value]))
      case ['before', about]:
        return _previous(self._one_of(self._relation(about).values))
      case ['value', about]:
        return self._one_of(self._relation(about).values)
      case ['value', _, value]:
        return self._one_of([value])
      case ['person', name]:
        return self._someone(
          [person.name == name for person in self._world.people]
        )
      case ['person', about, value]:
        relation = self._world.relations.index(self._relation(about))
        people = range(len(self._world.people))
        return self._someone(
          [self._world.value(person, relation) == value for person in people]
        )
    raise ValueError(f'concept {concept!r}: expected one of `all_concepts`')

  def _one_of(self, chosen: Iterable[str]) -> np.ndarray:
    chosen = frozenset(chosen)
    return np.array([w in chosen for w in self._vocabulary])[self._words_SxT]

  def _value(self) -> np.ndarray:
    relations = self._world.relations
    return self._one_of(v for relation in relations for v in relation.values)

  def _someone(self, chosen: list[bool]) -> np.ndarray:
    """Says where a name of one of the chosen people is, asides included."""
    return np.array([*chosen, False])[self._people_SxT]

  @functools.cached_property
  def _people_SxT(self) -> np.ndarray:
    """Whose name each token is a part of; -1 where it is nobody's."""
    firsts = {name: i for i, name in enumerate(word_lists.FIRST_NAMES)}
    lasts = {name: i for i, name in enumerate(word_lists.LAST_NAMES)}
    # The last row and column, index -1, are of words that are no such name.
    named = np.full((len(firsts) + 1, len(lasts) + 1), -1)
    for i, person in enumerate(self._world.people):
      named[firsts[person.first], lasts[person.last]] = i
    first_SxT, last_SxT = (
      np.array([names.get(w, -1) for w in self._vocabulary])[self._words_SxT]
      for names in (firsts, lasts)
    )
    pairs = named[first_SxT[:, :-1], last_SxT[:, 1:]]
    people_SxT = np.full(self._words_SxT.shape, -1)
    people_SxT[:, :-1] = pairs
    # No word is both, so what is a last name here was nobody's until now.
    people_SxT[:, 1:] = np.maximum(people_SxT[:, 1:], pairs)
    return people_SxT

  def _relation(self, name: str) -> facts.Relation:
    return next(r for r in self._world.relations if r.name == name)


_NAMES = (*word_lists.FIRST_NAMES, *word_lists.LAST_NAMES)


def _next(marks_SxT: np.ndarray) -> np.ndarray:
  """Marks the tokens right after the marked ones."""
  moved = np.zeros_like(marks_SxT)
  moved[:, 1:] = marks_SxT[:, :-1]
  return moved


def _previous(marks_SxT: np.ndarray) -> np.ndarray:
  """Marks the tokens right before the marked ones."""
  moved = np.zeros_like(marks_SxT)
  moved[:, :-1] = marks_SxT[:, 1:]
  return moved


# Each concept's place and name, by its description.
_Language = Mapping[str, tuple[int, str]]


@functools.lru_cache(maxsize=8)
def _language(world: facts.World) -> _Language:
  every = concepts.all_concepts(world)
  return {c.description: (i, c.name) for i, c in enumerate(every)}


def _parse(language: _Language, description: str) -> list[str]:
  """Returns the parts of a description, one or two, in concept order."""
  parts = description.split(labels.AND)
  known = all(part in language for part in parts)
  if not known or len(parts) > 2 or len(set(parts)) < len(parts):
    raise errors.InputError(
      f'description {description!r} cannot be executed: expected one like'
      f" 'a first name', or two that differ, joined by {labels.AND.strip()!r},"
      ' with words of this world'
    )
  return sorted(parts, key=language.__getitem__)
