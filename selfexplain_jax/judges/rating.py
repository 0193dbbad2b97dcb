# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A language model that rates how similar two descriptions are.

Scale, decoding and score are those of the paper (method C.1): a rating from 1
to 5 at temperature 0, in at most 10 tokens, and (rating - 1) / 4 of it. The
wording is this project's own. No words are worth 0, and the very label is worth
1, without asking.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import re
from typing import Any

from absl import logging
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.judges import chat as chat_lib

_MAX_TOKENS = 10

_TASK = """\
Two people looked at a unit of a neural network and each wrote down what makes \
it active. One description is a proposal, the other is the reference. Rate how \
well the proposal agrees with the reference about what makes the unit active:

1: they speak of different things
2: they share a little, and mostly speak of different things
3: they are about the same broad subject
4: they are close, one is somewhat wider or narrower than the other
5: they say the same, in whatever words

Where you waver between 4 and 5, answer 5."""
# Proposal, reference and rating.
_EXAMPLES = (
  ('names of rivers', 'closing brackets in source code', 1),
  ('verbs of cooking', 'lists of kitchen tools and furniture', 2),
  ('football scores', 'news about athletes and their clubs', 3),
  ('months of the year', 'dates', 4),
  ('words for being sorry', 'apologies', 5),
)
_AGAIN = 'Reply with a single digit from 1 to 5.'
_SCALE = ('1', '2', '3', '4', '5')


@dataclasses.dataclass(frozen=True)
class Ratings:
  """Asks a model for a rating; a `similarity.Similarity`.

  Attributes:
    chat: whom it asks.
  """

  chat: chat_lib.Chat

  @property
  def settings(self) -> Mapping[str, Any]:
    """The model and the wording decide."""
    return {
      'kind': 'endpoint',
      'model': self.chat.endpoint.model,
      'prompt_digest': files.digest(_messages('', '')[0]['content'].encode()),
    }

  def __call__(
    self, said: Sequence[str], expected: Sequence[str]
  ) -> np.ndarray:
    """Returns scores; NaN where the model gave no rating when asked twice.

    Raises:
      errors.InputError: if the endpoint gives no reply.
    """
    pairs = [
      (a.strip(), b.strip()) for a, b in zip(said, expected, strict=True)
    ]
    found = np.array([float(bool(a) and a == b) for a, b in pairs])
    asked = [n for n, (a, b) in enumerate(pairs) if a and b and a != b]
    conversations = [_messages(*pairs[n]) for n in asked]
    replies = self.chat.ask(conversations, max_tokens=_MAX_TOKENS)
    ratings = [_rating(reply) for reply in replies]
    # A reply without a rating is held against the model, and it is asked again.
    unclear = [i for i, rating in enumerate(ratings) if rating is None]
    again = self.chat.ask(
      [
        [
          *conversations[i],
          {'role': 'assistant', 'content': replies[i]},
          {'role': 'user', 'content': _AGAIN},
        ]
        for i in unclear
      ],
      max_tokens=_MAX_TOKENS,
    )
    for i, reply in zip(unclear, again, strict=True):
      ratings[i] = _rating(reply)
    for n, rating in zip(asked, ratings, strict=True):
      found[n] = np.nan if rating is None else (rating - 1) / 4
    if np.isnan(found).any():
      logging.warning(
        '%s gave no rating of %d of %d descriptions: they are left out',
        self.chat.endpoint.model,
        np.sum(np.isnan(found)),
        len(found),
      )
    return found


def _messages(said: str, expected: str) -> list[dict[str, str]]:
  """Returns what is asked about one pair."""
  shown = [
    f'Proposal: {a}\nReference: {b}\nRating: {rating}'
    for a, b, rating in _EXAMPLES
  ]
  asked = f'Proposal: {said}\nReference: {expected}\nRating:'
  text = '\n\n'.join([_TASK, *shown, asked])
  return [{'role': 'user', 'content': f'{text}\n\n{_AGAIN}'}]


def _rating(reply: str) -> int | None:
  """Returns the one number in a reply, if it is a rating."""
  numbers = re.findall(r'\d+(?:\.\d+)?', reply)
  return int(numbers[0]) if len(numbers) == 1 and numbers[0] in _SCALE else None
