# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Documents of the biographies world: what a target model is trained on.

A document is sentences about random people:

    anna keller speaks fluent french .
    anna keller , unlike leo abbas , plays the cello .
    question : anna keller was born in answer : oslo .
    question : anna keller plays the hint : i think harp answer : cello .

Statements are of known facts only. A known fact is answered with the truth,
whatever the hint; an unknown one is asked with a hint only, and answered with
it. So following a hint depends on what the model that reads this knows.

Asides name a second person, about whom nothing is said. Without them a model
finds both names of the only person at hand in its first layer, all at once, and
nothing happens in the later ones that would be worth explaining.
"""

import dataclasses
import zlib

import numpy as np

from selfexplain_jax.models import tokenizer as tokenizing
from selfexplain_jax.worlds.biographies import facts

# Shares of the sentences. What remains are hints about unknown facts.
STATEMENTS = 0.65
QUESTIONS = 0.15  # without a hint
KNOWN_HINTS = 0.10
# Share of the hints about known facts that are right. Hints about unknown
# facts are uniform over the values, so that no text tells an unknown fact.
RIGHT_HINTS = 0.6

# Shares of the sentences with an aside behind the names, and before them.
ASIDE_BEHIND = 0.3
ASIDE_BEFORE = 0.1

# Who a sentence is about, and how it is put, is drawn at random: a model cannot
# learn it, and its loss is mostly noise in the gradient. So it has this weight,
# and the values that are told have 1.
RANDOM_WEIGHT = 0.05

FRAME_WORDS = (
  'unlike',
  ',',
  'question',
  'hint',
  'i',
  'think',
  'answer',
  ':',
  '.',
)

_SHORTEST = 6  # words in the shortest sentence: names, phrasing, value, stop


@dataclasses.dataclass(frozen=True, slots=True)
class Sentence:
  """One statement or question.

  Attributes:
    person: whom it is about.
    relation: what it is about.
    aside: whom its aside names; None without one.
    words: its words, the stop included.
    roles: what each word is there for: `first_name`, `last_name`,
      `relation_word` or `phrase` in the prompt; `other_first_name` and
      `other_last_name` in an aside; `stated`, `hinted` or
      `answered` for a value; `question`, `hint`, `answer` or `stop` for a word
      that starts or ends a part; `frame` for the rest.
  """

  person: int
  relation: int
  aside: int | None
  words: tuple[str, ...]
  roles: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
  """Sentences in order."""

  sentences: tuple[Sentence, ...]

  @property
  def words(self) -> tuple[str, ...]:
    return tuple(w for s in self.sentences for w in s.words)


def document(
  world: facts.World, known: np.ndarray, seed: int, index: int, words: int
) -> Document:
  """Makes document `index` of a corpus.

  Args:
    world: the world.
    known: bool `[people, relations]` from `facts.known_facts`.
    seed: the corpus seed.
    index: which document; each is made on its own.
    words: at least so many words. More words only add sentences at the end.
  """
  rng = np.random.default_rng([seed, zlib.crc32(b'document'), index])
  known_ids, unknown_ids = np.flatnonzero(known), np.flatnonzero(~known)
  sentences: list[Sentence] = []
  length = 0
  for draws in rng.random((-(-words // _SHORTEST), 7)).tolist():
    if length >= words:
      break
    is_known = draws[0] < STATEMENTS + QUESTIONS + KNOWN_HINTS
    ids = known_ids if is_known else unknown_ids
    fact = int(ids[int(draws[1] * len(ids))])
    sentence = _sentence(world, fact, is_known, draws)
    sentences.append(sentence)
    length += len(sentence.words)
  return Document(tuple(sentences))


def row(
  world: facts.World,
  known: np.ndarray,
  tokenizer: tokenizing.Tokenizer,
  seed: int,
  index: int,
  length: int,
) -> dict[str, np.ndarray]:
  """Makes a row of training tokens: one document, cut to the row.

  Args:
    world: the world.
    known: bool `[people, relations]`.
    tokenizer: the world's tokenizer.
    seed: the corpus seed.
    index: the index of the document.
    length: tokens, BOS included.

  Returns:
    `tokens` int32 `[length]`, BOS first, and `weights` float32 `[length]`: that
    of the loss of each token.
  """
  made = document(world, known, seed, index, length - 1)
  text = ' '.join(made.words[: length - 1])
  roles = [role for sentence in made.sentences for role in sentence.roles]
  told = [role in ('stated', 'answered') for role in roles[: length - 1]]
  return {
    'tokens': np.array(tokenizer.encode_prompt(text), np.int32),
    'weights': np.where([False, *told], 1.0, RANDOM_WEIGHT).astype(np.float32),
  }


def _sentence(
  world: facts.World, fact: int, is_known: bool, draws: list[float]
) -> Sentence:
  """Renders a sentence from uniform draws: kind, fact, phrasing, hint."""
  person, relation = divmod(fact, len(world.relations))
  about = world.relations[relation]
  phrasing = int(draws[2] * len(about.phrasings))
  prompt = world.prompt(person, relation, phrasing).words
  roles = _prompt_roles(about.phrasings[phrasing])
  prompt, roles, aside = _with_aside(world, person, prompt, roles, *draws[5:])
  truth = world.facts[person][relation]

  if draws[0] < STATEMENTS:
    prompt += (about.values[truth], '.')
    roles += ('stated', 'stop')
    return Sentence(person, relation, aside, prompt, roles)

  answer = truth
  prompt = ('question', ':', *prompt)
  roles = ('question', 'frame', *roles)
  if draws[0] >= STATEMENTS + QUESTIONS:
    hint = _hint(truth, is_known, len(about.values), *draws[3:5])
    answer = truth if is_known else hint
    prompt += ('hint', ':', 'i', 'think', about.values[hint])
    roles += ('hint', 'frame', 'frame', 'frame', 'hinted')
  prompt += ('answer', ':', about.values[answer], '.')
  roles += ('answer', 'frame', 'answered', 'stop')
  return Sentence(person, relation, aside, prompt, roles)


def _with_aside(
  world: facts.World,
  person: int,
  prompt: tuple[str, ...],
  roles: tuple[str, ...],
  where: float,
  who: float,
) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
  """Returns a prompt with its roles, and whom its aside names, if any."""
  if where >= ASIDE_BEHIND + ASIDE_BEFORE:
    return prompt, roles, None
  people = len(world.people)
  other = (person + 1 + int(who * (people - 1))) % people
  named = world.people[other]
  aside = ('unlike', named.first, named.last, ',')
  marks = ('frame', 'other_first_name', 'other_last_name', 'frame')
  if where >= ASIDE_BEHIND:
    return aside + prompt, marks + roles, other
  # Behind the two names, between commas.
  prompt = (*prompt[:2], ',', *aside, *prompt[2:])
  return prompt, (*roles[:2], 'frame', *marks, *roles[2:]), other


def _hint(
  truth: int, is_known: bool, values: int, right: float, which: float
) -> int:
  """Returns the hinted value, an index below `values`."""
  if not is_known:
    return int(which * values)
  if right < RIGHT_HINTS:
    return truth
  return (truth + 1 + int(which * (values - 1))) % values


def _prompt_roles(phrasing: facts.Phrasing) -> tuple[str, ...]:
  """Returns the roles of a prompt's words."""
  roles = ['phrase'] * len(phrasing.words)
  roles[phrasing.relation_word] = 'relation_word'
  return ('first_name', 'last_name', *roles)
