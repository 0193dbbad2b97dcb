# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Prompts about facts with options to choose from, token by token (A.2).

Two prompts of a pair differ in their subject alone, so a token of one has its
counterpart in the other: by its role, and by how far it is from there.
"""

import bisect
from collections.abc import Sequence
import dataclasses

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import counterfact
from selfexplain_jax.models import tokenizer as tokenizer_lib

# Kinds of tokens. Of the options one is true of the prompt's own subject, and
# one of the subject that the vector is about.
PLACES = (
  'subject_final',
  'subject',
  'relation',
  'original_option',
  'new_option',
  'other_option',
  'instruction',
  'last_token',
)
RENDERINGS = ('base', 'chat')
_SUBJECT = 'subject'
_OPTIONS = '{options}'


@dataclasses.dataclass(frozen=True)
class Wording:
  """How facts are asked for.

  Attributes:
    rendering: `base`, plain text with a `cue` at its end; or `chat`, a user's
      message in the template of the target.
    instruction: what follows the fact, with {options} in it.
    cue: what follows the instruction in plain text.
    unknown: the option that no fact has.
  """

  rendering: str
  instruction: str
  cue: str
  unknown: str

  def check(self) -> None:
    """Raises `errors.InputError` for what cannot be asked."""
    if self.rendering not in RENDERINGS:
      raise errors.InputError(
        f'config.rendering is {self.rendering!r}: expected '
        f'{" or ".join(RENDERINGS)}'
      )
    if self.instruction.count(_OPTIONS) != 1:
      raise errors.InputError(
        f'config.instruction is {self.instruction!r}: expected one {_OPTIONS} '
        'in it, where the options stand'
      )


@dataclasses.dataclass(frozen=True)
class Prompt:
  """A prompt of T tokens.

  Attributes:
    ids: its tokens, BOS included.
    place: index into `PLACES` of each.
    piece: the part of the text that each token ends in, such as `option 2`.
  """

  ids: Sequence[int]
  place: Sequence[int]
  piece: Sequence[str]

  def offsets(self) -> list[tuple[str, int]]:
    """Returns the part of each token, and which token of it this is.

    Counted from the part's end where that is the subject.
    """
    seen: dict[str, int] = {}
    found = []
    for piece in self.piece:
      found.append((piece, seen.get(piece, 0)))
      seen[piece] = found[-1][1] + 1
    return [
      (piece, n - seen[piece] if piece == _SUBJECT else n) for piece, n in found
    ]


def render(
  fact: counterfact.Fact,
  original: str,
  new: str,
  options: Sequence[str],
  wording: Wording,
  tokenizer: tokenizer_lib.Tokenizer,
) -> Prompt:
  """Renders a fact.

  Args:
    fact: what is asked.
    original: the option that is `original_option`.
    new: the one that is `new_option`.
    options: all of them but the unknown.
    wording: how it is asked.
    tokenizer: the target's.

  Raises:
    errors.InputError: if the target has no chat template, or one that changes
      the message.
  """
  roles = {original: 'original_option', new: 'new_option'}
  before, _, after = fact.prompt.partition('{}')
  lead, _, tail = wording.instruction.partition(_OPTIONS)
  pieces = [
    ('before', 'relation', before),
    (_SUBJECT, 'subject', fact.subject),
    ('after', 'relation', after),
    ('lead', 'instruction', lead),
  ]
  for n, option in enumerate(options):
    pieces.append((f'option {n}', roles.get(option, 'other_option'), option))
    pieces.append((f'or {n}', 'instruction', ' or '))
  pieces.append(('tail', 'instruction', wording.unknown + tail))
  if wording.rendering == 'base':
    pieces.append(('cue', 'instruction', wording.cue))
    text = ''.join(part for _, _, part in pieces)
    ids = tokenizer.encode_prompt(text)
  else:
    content = ''.join(part for _, _, part in pieces)
    messages = [{'role': 'user', 'content': content}]
    text = tokenizer.render(messages, answering=True)
    start, found, end = text.partition(content)
    if not found:
      raise errors.InputError(
        f'the chat template changes the message {content!r}: expected it as it '
        'is, within what the template adds'
      )
    pieces.insert(0, ('start', 'instruction', start))
    pieces.append(('end', 'instruction', end))
    ids = tokenizer.encode_chat(messages)
  return _prompt(text, ids, pieces, tokenizer)


def _prompt(
  text: str,
  ids: list[int],
  pieces: Sequence[tuple[str, str, str]],
  tokenizer: tokenizer_lib.Tokenizer,
) -> Prompt:
  """Finds out which piece each token is of: that of its last letter."""
  ends = np.cumsum([len(part) for _, _, part in pieces]).tolist()
  offsets = tokenizer.offsets(text)
  # What was put before the text, BOS, belongs to the instruction.
  names, roles = ['bos'], ['instruction']
  names, roles = (kind * (len(ids) - len(offsets)) for kind in (names, roles))
  for start, end in offsets:
    letters = text[start:end].rstrip()
    last = start + len(letters) - 1 if letters else end - 1
    name, role, _ = pieces[min(bisect.bisect_right(ends, last), len(ends) - 1)]
    names.append(name)
    roles.append(role)
  finals = [n for n, name in enumerate(names) if name == _SUBJECT]
  if finals:
    roles[finals[-1]] = 'subject_final'
  roles[-1] = 'last_token'
  return Prompt(ids, [PLACES.index(role) for role in roles], names)


def align(base: Prompt, other: Prompt) -> np.ndarray:
  """Returns the counterpart of each token of `base`, i64[T]; -1 for none.

  It has none where the other prompt has no such token, or, but for the
  subject's, another one there; nor where it has the same one after all the same
  ones, since then their activations are the same.
  """
  there = {key: n for n, key in enumerate(other.offsets())}
  found = np.full(len(base.ids), -1, np.int64)
  same = 0
  for mine, theirs in zip(base.ids, other.ids, strict=False):
    if mine != theirs:
      break
    same += 1
  for n, key in enumerate(base.offsets()):
    m = there.get(key, -1)
    if m < 0 or (n == m and n < same):
      continue
    if key[0] == _SUBJECT or base.ids[n] == other.ids[m]:
      found[n] = m
  return found
