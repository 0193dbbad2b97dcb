# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Which question is meant by some plain words."""

import collections
from collections.abc import Mapping, Sequence
import re

from selfexplain_jax import errors

# Phrasings that share fewer of their words with a question are no guess at it.
_LEAST = 0.3
# Words that any question may have.
_COMMON = frozenset(
  'a an at be do does how in is it of the to what which'.split()
)


def find(asked: str, phrasings: Mapping[str, Sequence[str]]) -> tuple[str, str]:
  """Finds the phrasing that is nearest to some words.

  Explainers are asked as they were trained: whatever words are taken, the
  phrasing is what they are asked in.

  Args:
    asked: the name of a question type, one of its phrasings, or plain words.
    phrasings: by question type, those of the explainer; of types that are as
      near the first is meant.

  Returns:
    The question type, and the phrasing.

  Raises:
    errors.InputError: if nothing is near.
  """
  if asked in phrasings:
    return asked, phrasings[asked][0]
  known = [(task, p) for task, own in phrasings.items() for p in own]
  words = _words(asked)
  near = [_likeness(words, _words(p)) for _, p in known]
  best = max(range(len(known)), key=lambda i: near[i]) if known else None
  if best is None or near[best] < _LEAST:
    raise errors.InputError(
      f'no question is like {asked!r}: expected {", ".join(phrasings)}, or '
      'words such as ' + '; '.join(own[0] for own in phrasings.values())
    )
  return known[best]


def _likeness(a: Sequence[str], b: Sequence[str]) -> float:
  """Dice's coefficient of the words of two questions, in any order."""
  shared = collections.Counter(a) & collections.Counter(b)
  return 2 * shared.total() / max(1, len(a) + len(b))


def _words(text: str) -> list[str]:
  """The plain words of a question, without its fields and what they quote."""
  plain = re.sub(r'<<<.*?>>>|<.*?>|\{\w+\}', ' ', text)
  words = re.findall(r'\w+', plain.casefold())
  return [word for word in words if word not in _COMMON]
