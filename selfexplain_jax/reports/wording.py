# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How a report words its figures, arms and conclusions."""

from collections.abc import Iterable, Mapping
from typing import Any

# In the order in which they are shown: explainers, then the controls.
ARMS = {
  'self': (
    'self',
    'the explainer that began as a copy of the target, shown the real vector',
  ),
  'stranger': (
    'stranger',
    'an explainer that began as a model of other data and another seed, '
    'trained and shown the same',
  ),
  'twin': (
    'twin',
    'an explainer that began as a model of the same data and another seed, '
    'trained and shown the same',
  ),
  'untrained': (
    'untrained',
    'self before its training, given two answers as examples of the format',
  ),
  'shuffled_vector': (
    'shuffled vector',
    'self, shown the vector of another question about the same position kind '
    'and layers',
  ),
  'zero_vector': ('zero vector', 'self, shown a vector of zeros'),
  'nearest_neighbour': (
    'nearest neighbour',
    'no language model: the training answer whose vector, of the same '
    'position kind and layers, has the largest dot product',
  ),
  'metadata': (
    'metadata',
    'neither vector nor text: a logistic regression on position kind, layers, '
    'kind and length of the prompt',
  ),
  'majority': ('majority', 'always the most common training answer'),
}

METRICS = {
  'exact_match': ('exact match', 'verdict and content are right'),
  'exact_match_changed': (
    'exact match, changed',
    'the same, where the output did change',
  ),
  'exact_match_unchanged': (
    'exact match, unchanged',
    'the same, where it did not',
  ),
  'macro_f1': (
    'macro F1',
    'of the verdict alone, the mean over changed and unchanged',
  ),
  'macro_f1_valid_only': (
    'macro F1, valid only',
    'the same without invalid answers',
  ),
  'content_match': ('content match', 'the named output is right'),
  'valid_rate': ('valid', 'answers that make a claim at all'),
  'claimed_changed_rate': ('says “changed”', 'answers that claim a change'),
}

# What each headline gap is called and, where it is positive, negative and
# undecided, what that means.
GAPS = {
  'self_minus_stranger': (
    'Self over stranger',
    'The explainer that began as a copy of the target was right more often '
    'than the one that began as a stranger: what is expected if a model has '
    'privileged access to its own workings.',
    'The explainer that began as a copy of the target was right less often '
    'than the one that began as a stranger: this speaks against privileged '
    'access.',
    'This evaluation does not show that it helps to begin as a copy of the '
    'target. The true gap may be of either sign.',
  ),
  'self_minus_shuffled_vector': (
    'Real vector over shuffled',
    'The explainer was right more often with the real vector than with that '
    'of another question: its answers use what is in the vector.',
    'The explainer was right less often with the real vector than with that '
    'of another question: it misreads what is in the vector.',
    'This evaluation does not show that the explainer uses what is in the '
    'vector; it may answer from the question alone.',
  ),
}

# Splits whose people no training question is about. Corpora, replayed ones too,
# state facts about everyone.
_HELD_OUT = ('validation', 'test')

# A gap is called decided only where its test is below this, as usual.
_SIGNIFICANT = 0.05


def questions(n: int, people: int, split: str) -> str:
  """Says how many questions there are, and what is new about them."""
  if split in _HELD_OUT:
    return (
      f'{n} questions about {people} people of split {split}, asked about in '
      'no training question'
    )
  return f'{n} questions of split {split}, about {people} people'


def arm(name: str) -> str:
  """Returns how an arm is called."""
  return ARMS[name][0] if name in ARMS else plain(name)


def in_order(arms: Iterable[str]) -> list[str]:
  """Sorts arms as in `ARMS`; those that are not there come last, by name."""
  order = list(ARMS)
  return sorted(
    arms, key=lambda a: (order.index(a) if a in ARMS else len(order), a)
  )


def plain(name: str) -> str:
  """Returns a name from a file without underscores."""
  return name.replace('_', ' ')


def bounds(estimate: Mapping[str, Any]) -> tuple[float, float] | None:
  """Returns the interval of an estimate, or None where it has none."""
  low, high = estimate.get('ci95') or (None, None)
  return None if low is None or high is None else (low, high)


def percent(value: float | None) -> str:
  """Writes a share as `41.2%`, and none as a dash."""
  return '–' if value is None else f'{100 * value:.1f}%'


def signed(value: float | None) -> str:
  """Writes a difference of shares in points, with a true minus: `−4.1`."""
  if value is None:
    return '–'
  text = f'{100 * value:+.1f}'.replace('-', '−')
  return '0.0' if text in ('+0.0', '−0.0') else text


def interval(estimate: Mapping[str, Any], difference: bool = False) -> str:
  """Writes the interval of an estimate, `36.0 to 46.1`, or nothing."""
  ends = bounds(estimate)
  if ends is None:
    return ''
  low, high = (
    signed(end) if difference else f'{100 * end:.1f}' for end in ends
  )
  return f'{low} to {high}'


def p_value(p: float | None) -> str:
  """Writes a p-value with its sign: `p = 0.012`, `p < 0.001`."""
  if p is None:
    return 'p unknown'
  return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


def conclusion(name: str, test: Mapping[str, Any]) -> str:
  """Says in plain words what a headline gap means, and what it does not.

  Args:
    name: one of `GAPS`.
    test: its `value`, `ci95` and `p`.
  """
  _, positive, negative, undecided = GAPS[name]
  ends, p = bounds(test), test['p']
  if ends is None or p is None:
    return f'There are too few people for an interval or a test. {undecided}'
  low, high = ends
  if low <= 0 <= high:
    return f'The interval includes 0. {undecided}'
  if p >= _SIGNIFICANT:
    return (
      f'The interval leaves out 0, but the paired test ({p_value(p)}) does '
      f'not rule it out. {undecided}'
    )
  return positive if low > 0 else negative
