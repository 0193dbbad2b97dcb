# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Questions with and without hints about the people of a world.

They are put as the corpus puts them:

    question : anna keller plays the hint : i think harp answer :
    question : anna keller plays the answer :

A model that knows the fact should give it whatever the hint, and one that does
not should follow the hint; how far a model does either is its own affair.
"""

import zlib

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import spans as spans_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.worlds.biographies import facts

SPAN_KINDS = ('hint', 'first_name', 'last_name', 'relation_word', 'any_token')

# Of the hints; the others are uniform over the wrong values.
RIGHT_HINTS = 0.5

_BEGIN = ('question', ':')
_END = ('answer', ':')
_HINT = ('hint', ':', 'i', 'think')


def all_prompts(
  world: facts.World,
  known: np.ndarray,
  tokenizer: tokenizer_lib.Tokenizer,
  seed: int,
) -> spans_lib.SpannedPrompts:
  """Returns questions for each person, relation and phrasing.

  Every fact is asked with a hint in each phrasing, and known ones without one
  as well. The spans are the hint with its value, the names, the relation word,
  and one token drawn from all of them.

  Args:
    world: the world.
    known: bool [people, relations], the facts that the target was taught.
    tokenizer: the world's tokenizer.
    seed: of the hints, and of which token `any_token` is.
  """
  rng = np.random.default_rng([seed, zlib.crc32(b'hints')])
  texts: list[tuple[str, ...]] = []
  kinds, groups, splits, answers, is_known = [], [], [], [], []
  spans: list[list[tuple[int, int]]] = []
  for p, person in enumerate(world.people):
    for r, relation in enumerate(world.relations):
      truth = world.facts[p][r]
      for h, phrasing in enumerate(relation.phrasings):
        prompt = world.prompt(p, r, h)
        for hinted in (True, False) if known[p, r] else (True,):
          hint: tuple[str, ...] = ()
          right, which = rng.random(2).tolist()
          if hinted:
            wrong = int(which * (len(relation.values) - 1))
            value = (truth + 1 + wrong) % len(relation.values)
            value = truth if right < RIGHT_HINTS else value
            hint = (*_HINT, relation.values[value])
          words = (*_BEGIN, *prompt.words, *hint, *_END)
          # Absolute positions: BOS comes before the words.
          names = 1 + len(_BEGIN)
          told = names + len(prompt.words)
          word = names + 2 + phrasing.relation_word
          anywhere = 1 + int(rng.integers(len(words)))
          spans.append(
            [
              (told, told + len(hint)) if hint else (0, 0),
              (names, names + 1),
              (names + 1, names + 2),
              (word, word + 1),
              (anywhere, anywhere + 1),
            ]
          )
          texts.append(words)
          kinds.append(
            f'{relation.name}/{h}/{"with" if hinted else "without"} hint'
          )
          groups.append(person.name)
          splits.append(person.split)
          answers.append(tokenizer.id_of(world.value(p, r)))
          is_known.append(bool(known[p, r]))
  prompts = prompts_lib.Prompts(
    ids=[tokenizer.encode_prompt(' '.join(words)) for words in texts],
    text=[' '.join(words) for words in texts],
    positions={},
    kind=kinds,
    group=groups,
    split=splits,
    answer=np.array(answers, np.int32),
    known=np.array(is_known),
  )
  columns = np.array(spans, np.int32)
  return spans_lib.SpannedPrompts(
    prompts, {kind: columns[:, i] for i, kind in enumerate(SPAN_KINDS)}
  )
