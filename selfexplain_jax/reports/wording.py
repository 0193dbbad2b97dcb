# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How a report words its figures, arms and conclusions."""

from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any

from selfexplain_jax.reports import numbers

# In the order in which they are shown: explainers, then the controls. What an
# arm means in one task alone stands in `_OF_TASK`.
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
  'text_only': (
    'text only',
    'an explainer that began as a copy of the target, trained and asked with '
    'zeros in place of all vectors',
  ),
  'untrained': (
    'untrained',
    'self before its training, given two answers as examples of the format',
  ),
  'shuffled_vector': (
    'shuffled vector',
    'self, shown the vector of another question about the same place and '
    'treatment',
  ),
  'zero_vector': ('zero vector', 'self, shown a vector of zeros'),
  'wrong_layer': (
    'wrong layer',
    'self, shown the real vector and asked about other layers than its own',
  ),
  'nearest_neighbour': (
    'nearest neighbour',
    'no language model: the training answer whose vector, of the same place '
    'and treatment, has the largest dot product',
  ),
  'metadata': (
    'metadata',
    'neither vector nor text: a logistic regression on place, treatment, kind '
    'and length of the prompt',
  ),
  'majority': ('majority', 'always the most common training answer'),
  'label': ('label', 'the label itself: what the best answer can get'),
  'black_box': (
    'black box',
    'the target itself, given both texts: the ceiling, for which nobody has '
    'to look inside',
  ),
}

_OF_TASK = {
  'ablation': {
    'self': 'the explainer that began as a copy of the target',
    'nearest_neighbour': 'no language model: the training answer to the '
    'question, of the same place and treatment, whose words are most similar',
  },
  'features': {
    'shuffled_vector': 'self, shown the vector of another question about the '
    'same layer',
    'nearest_neighbour': 'no language model: the label of the training feature '
    'of any layer whose vector has the largest dot product',
    'metadata': 'no vector: the most common training label of the layer',
  },
}


@dataclasses.dataclass(frozen=True)
class Task:
  """How a page on changed outputs speaks of what was done.

  Attributes:
    name: of the question type.
    introduction: what happens, in three sentences.
    places: what the rows of its maps are.
    treatments: what their columns are.
    position: the column that says where in a text something was done.
    marked: what is marked in texts.
  """

  name: str
  introduction: str
  places: str
  treatments: str
  position: str
  marked: str


TASKS = {
  'patching': Task(
    'patching',
    'The target, a language model, reads a short text. At one token and some '
    'layers its activation is replaced by the one from another text. Does its '
    'next word change, and to what? The explainer is shown the new vector and '
    'says so in words; then the target is re-run, and the two are compared.',
    'position',
    'layers',
    'position',
    'The token whose activation was replaced',
  ),
  'ablation': Task(
    'ablation',
    'The target, a language model, reads a question. A piece of it, such as a '
    'hint, is taken away, or something else stands in its place. Does the '
    'target answer otherwise, and what? The explainer says so in words; then '
    'the target is re-run, and the two are compared.',
    'piece of the text',
    'what was done',
    'start',
    'The piece that was removed or replaced',
  ),
}

TITLES = {
  'features': 'Features: what a direction inside the target encodes',
  'patching': 'Patching: what an activation does where it is put',
  'ablation': 'Ablation: what a piece of the input does',
}

DESCRIPTION_METRICS = {
  'exact_match': ('exact label', 'the description is the very label'),
  'simulator': (
    'simulator',
    'correlation between the activations and where the description holds, over '
    'the tokens of the 10 documents in which the vector is most active and 10 '
    'drawn at random',
  ),
  'simulator_per_sequence': (
    'per document',
    'the mean of the correlations within those documents in which the vector '
    'is active',
  ),
  'detection': (
    'detection',
    'balanced accuracy of telling the documents in which the feature is active',
  ),
  'fuzzing': (
    'fuzzing',
    'accuracy of telling its tokens from as many others',
  ),
  'similarity': ('similarity', 'how alike the description and the label are'),
  'valid_rate': ('valid', 'answers that mean something'),
}

# Those that need somebody who says where a description holds.
SIMULATED = ('simulator', 'simulator_per_sequence', 'detection', 'fuzzing')

# Who says how alike descriptions and labels are: `similarity` of metrics.json.
_SIMILARITY = {
  'words': 'the cosine of their word counts',
  'endpoint': 'the language model {model} rates the two from 1 to 5, which '
  'counts as 0 to 1',
  'embeddings': "the cosine of the two's embeddings by {model}",
}

# Who says where a description holds: `simulator` of metrics.json.
_SIMULATORS = {
  'executed': 'Descriptions are executed: where one holds is a matter of fact.',
  'trained': 'Where a description holds is said by a language model that was '
  'trained to simulate features (weights {model}).',
}
_NO_SIMULATOR = (
  'Descriptions cannot be executed and no simulator was given, so nothing is '
  'said about where they hold; an answer is valid if it has words.'
)

# Figures that do not say who judged are of before there was a choice.
_BEFORE: dict[str, dict[str, Any]] = {
  'similarity': {'kind': 'words', 'missing': {}},
  'simulator': {'kind': 'executed'},
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
    'than the one that began as a stranger. This is expected if a model has '
    'privileged access to its own workings, but also if it merely knows the '
    'same facts or shares coordinates with the target.',
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


def asked(figures: Mapping[str, Any]) -> str:
  """Says what an evaluation asked, from its figures."""
  n, groups, split = figures['n'], figures['groups'], figures['split']
  published, leaks = figures.get('published'), figures.get('also_in_train')
  if published or leaks:
    what = 'features' if figures['task'] == 'features' else 'questions'
    said = f'{n} published {what} about {groups} subjects of split {split}'
    if leaks:
      shares = (f'{share:.0%} by {name}' for name, share in leaks.items())
      said += f', of which training has {" and ".join(shares)}'
    if published:
      said += (
        f'; what {" and ".join(published)} learnt from is for its publishers '
        'to say'
      )
    return said
  if figures['task'] == 'features':
    return f'{n} features of split {split}, none of which was trained on'
  return questions(n, groups, split)


def description_metrics(
  figures: Mapping[str, Any],
) -> dict[str, tuple[str, str]]:
  """Returns the name and the meaning of the measures of some descriptions."""
  judge = figures.get('similarity', _BEFORE['similarity'])
  title, meaning = DESCRIPTION_METRICS['similarity']
  how = _SIMILARITY[judge['kind']].format_map(judge)
  missing = sum(judge['missing'].values())
  if missing:
    how += f' ({missing} of all arms without a rating are left out)'
  absent = () if _simulator(figures) else SIMULATED
  measures = {**DESCRIPTION_METRICS, 'similarity': (title, f'{meaning}: {how}')}
  return {name: m for name, m in measures.items() if name not in absent}


def simulator(figures: Mapping[str, Any]) -> str:
  """Says where it is from where descriptions hold."""
  settings = _simulator(figures)
  if settings is None:
    return _NO_SIMULATOR
  return _SIMULATORS[settings['kind']].format_map(settings)


def _simulator(figures: Mapping[str, Any]) -> Mapping[str, Any] | None:
  """Returns which simulator there was, if any."""
  if 'similarity' not in figures:
    return _BEFORE['simulator']
  return figures.get('simulator')


def arms(task: str) -> dict[str, tuple[str, str]]:
  """Returns the name and the meaning of every arm in a task."""
  own = _OF_TASK.get(task, {})
  return {
    name: (label, own.get(name, meaning))
    for name, (label, meaning) in ARMS.items()
  }


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


def conclusion(name: str, test: Mapping[str, Any]) -> str:
  """Says in plain words what a headline gap means, and what it does not.

  Args:
    name: one of `GAPS`.
    test: its `value`, `ci95` and `p`.
  """
  _, positive, negative, undecided = GAPS[name]
  ends, p = numbers.bounds(test), test['p']
  if ends is None or p is None:
    return f'There are too few people for an interval or a test. {undecided}'
  low, high = ends
  if low <= 0 <= high:
    return f'The interval includes 0. {undecided}'
  if p >= _SIGNIFICANT:
    return (
      'The interval leaves out 0, but the paired test '
      f'({numbers.p_value(p)}) does not rule it out. {undecided}'
    )
  return positive if low > 0 else negative
