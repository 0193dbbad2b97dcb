# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The two sentences in which an explainer says whether the output changes.

The wording is the paper's (arXiv 2511.08579, section 2.3), so that its
published explainers are read by the same parser.
"""

import dataclasses
import re

from selfexplain_jax import errors

_PREFIX = {
  True: 'The most likely output would change to',
  False: 'The output would remain unchanged from',
}
# ASCII, lest case folding let other letters pass for those of the sentence.
_PATTERN = {
  changed: re.compile(
    rf'\s*{prefix}\s*<<<(.*?)>>>\s*\.?\s*', re.ASCII | re.DOTALL | re.IGNORECASE
  )
  for changed, prefix in _PREFIX.items()
}


@dataclasses.dataclass(frozen=True)
class Claim:
  """What an explainer said, or what is true.

  Attributes:
    changed: whether the intervention changes the most likely output.
    content: the output with the intervention; verbatim, white space included.
  """

  changed: bool
  content: str

  def matches(self, other: 'Claim') -> bool:
    """Whether verdict and content agree: the exact match of the paper."""
    return self.changed == other.changed and same_content(
      self.content, other.content
    )


def parse(answer: str) -> Claim | None:
  """Reads an answer, or returns None if it is neither sentence.

  Case, white space around the answer and its markers, and a missing final
  period are forgiven, since word tokenizers decode `<<< french >>> .`; any
  other departure, a second sentence too, makes the answer invalid.
  """
  for changed, pattern in _PATTERN.items():
    match = pattern.fullmatch(answer)
    if match and '>>>' not in match[1]:
      return Claim(changed, match[1])
  return None


def render(changed: bool, content: str) -> str:
  """Returns the canonical sentence, which `parse` turns back into the claim.

  Raises:
    errors.InputError: if the content holds the closing marker.
  """
  if '>>>' in content:
    raise errors.InputError(
      f'claim content: expected text without ">>>", got {content!r}'
    )
  return f'{_PREFIX[bool(changed)]} <<<{content}>>>.'


def same_content(a: str, b: str) -> bool:
  """Whether two contents are equal but for case and white space.

  Contents that are only white space are compared as they are, since a line
  break is another output than a space.
  """
  return _normalised(a) == _normalised(b)


def _normalised(content: str) -> str:
  return ' '.join(content.casefold().split()) or content
