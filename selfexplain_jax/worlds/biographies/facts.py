# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The biographies world: people, relations, and what is true of whom."""

from collections.abc import Mapping
import dataclasses
import zlib

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.worlds.biographies import words

POSITION_KINDS = ('first_name', 'last_name', 'relation_word', 'last_token')
SPLITS = ('train', 'validation', 'test')

_TRAIN_SHARE, _VALIDATION_SHARE = 0.6, 0.2  # of the people; the rest is test


@dataclasses.dataclass(frozen=True)
class Phrasing:
  """The words between a person's name and a value.

  Attributes:
    words: the words after the two names.
    relation_word: which of `words` says what relation this is.
  """

  words: tuple[str, ...]
  relation_word: int


@dataclasses.dataclass(frozen=True)
class Relation:
  """Something that has one value for every person, such as a profession."""

  name: str
  values: tuple[str, ...]
  phrasings: tuple[Phrasing, ...]


@dataclasses.dataclass(frozen=True)
class Person:
  """Somebody; only both names together say who. `split` is from `SPLITS`."""

  first: str
  last: str
  split: str

  @property
  def name(self) -> str:
    return f'{self.first} {self.last}'


@dataclasses.dataclass(frozen=True)
class Prompt:
  """Words that end where a value follows.

  Attributes:
    words: the prompt, without BOS.
    positions: for each of `POSITION_KINDS` its token position; BOS is 0, so
      the word at index i is at position i + 1.
  """

  words: tuple[str, ...]
  positions: Mapping[str, int]

  @property
  def text(self) -> str:
    return ' '.join(self.words)


@dataclasses.dataclass(frozen=True)
class World:
  """Everybody and everything that is true of them.

  Attributes:
    people: the people; a person is referred to by index.
    relations: the relations; a relation is referred to by index.
    facts: `facts[person][relation]` is an index into the relation's values.
  """

  people: tuple[Person, ...]
  relations: tuple[Relation, ...]
  facts: tuple[tuple[int, ...], ...]

  def value(self, person: int, relation: int) -> str:
    """Returns the true value of a relation for a person."""
    return self.relations[relation].values[self.facts[person][relation]]

  def prompt(self, person: int, relation: int, phrasing: int) -> Prompt:
    """Returns the prompt that asks for `value(person, relation)`."""
    who = self.people[person]
    how = self.relations[relation].phrasings[phrasing]
    prompt = (who.first, who.last, *how.words)
    positions = (1, 2, 3 + how.relation_word, len(prompt))
    return Prompt(prompt, dict(zip(POSITION_KINDS, positions, strict=True)))

  def digest(self) -> str:
    """Returns a hash of everything in this world, as hex."""
    return files.digest_json(dataclasses.asdict(self))


def make_world(seed: int, people: int = 200) -> World:
  """Makes the world of a seed.

  Values are independent and uniform per (person, relation). Each first name
  and each last name belongs to `people / 24` persons, rounded up or down.

  Args:
    seed: the world's seed; words and phrasings are the same for all seeds.
    people: how many people, from 48 to 576.

  Raises:
    errors.InputError: if there would be a name that only one person has, or
      two persons with one name.
  """
  names = len(words.FIRST_NAMES)
  if not 2 * names <= people <= names**2:
    raise errors.InputError(
      f'world has people={people}: expected {2 * names} to {names**2}, so'
      ' that identity needs both names'
    )
  rng = np.random.default_rng([seed, zlib.crc32(b'world')])
  relations = _relations()
  columns = [rng.integers(len(r.values), size=people) for r in relations]
  return World(
    people=_people(rng, people),
    relations=relations,
    facts=tuple(map(tuple, np.stack(columns, axis=1).tolist())),
  )


def known_facts(world: World, seed: int, share: float = 0.75) -> np.ndarray:
  """Draws which facts occur in the corpus of one model.

  Args:
    world: the world.
    seed: the model's corpus seed: two models of one seed know the same.
    share: the part of all facts that is known, above 0 and below 1.

  Returns:
    bool `[people, relations]`, true for `round(share * size)` facts.

  Raises:
    errors.InputError: if `share` leaves no known or no unknown fact.
  """
  shape = len(world.people), len(world.relations)
  size = shape[0] * shape[1]
  count = round(share * size)
  if not 0 < count < size:
    raise errors.InputError(
      f'known facts have share={share}: expected a number between 0 and 1,'
      ' so that there are known and unknown facts'
    )
  rng = np.random.default_rng([seed, zlib.crc32(b'known facts')])
  return (rng.permutation(size) < count).reshape(shape)


def _relations() -> tuple[Relation, ...]:
  return tuple(
    Relation(name, values, _phrasings(words.PHRASINGS[name]))
    for name, values in words.VALUES.items()
  )


def _phrasings(texts: tuple[str, ...]) -> tuple[Phrasing, ...]:
  return tuple(
    Phrasing(
      words=tuple(text.replace('*', '').split()),
      relation_word=[w[0] for w in text.split()].index('*'),
    )
    for text in texts
  )


def _people(rng: np.random.Generator, count: int) -> tuple[Person, ...]:
  """Draws people: all pairs of names differ, all names are about as common."""
  firsts = rng.permutation(words.FIRST_NAMES).tolist()
  lasts = rng.permutation(words.LAST_NAMES).tolist()
  names = len(firsts)
  # Round k gives the i-th first name the (i + k)-th last name.
  pairs = [
    (firsts[i % names], lasts[(i + i // names) % names]) for i in range(count)
  ]
  # One permutation breaks the order of the names, the other that of the splits.
  named = [pairs[i] for i in rng.permutation(count)]
  train = round(_TRAIN_SHARE * count)
  validation = round(_VALIDATION_SHARE * count)
  sizes = train, validation, count - train - validation
  splits = rng.permutation(np.repeat(SPLITS, sizes)).tolist()
  return tuple(
    Person(first, last, split)
    for (first, last), split in zip(named, splits, strict=True)
  )
