# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""An explainer and its target, opened to be asked and checked at once."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import math

import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.fidelity import arms
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import places as places_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import table
from selfexplain_jax.tasks import target as target_lib

_LONG = 64  # Answers with the most letters, among which the longest is.
_SHOWN = 'V'  # What stands for a vector where people read.

# Tokens of an answer at most, its end included, if its set has none longer.
_NEW_TOKENS = 32


@dataclasses.dataclass(frozen=True)
class Interview:
  """An explainer and its target.

  Attributes:
    explainer: who answers.
    target: the model that it is asked about.
    sets: by question type, what the explainer learnt from.
    dictionary: the target's dictionaries; None where there are none.
    mesh: where both are.
    places: where they were read from.
  """

  explainer: explainer_lib.Explainer
  target: target_lib.Target
  sets: Mapping[str, explanations.ExplanationSet]
  dictionary: dictionaries.Dictionaries | None
  mesh: jax.sharding.Mesh
  places: places_lib.Places

  @property
  def phrasings(self) -> dict[str, tuple[str, ...]]:
    """By question type that the explainer has learnt, how it can be asked."""
    return {
      task: self.explainer.phrasings.get(
        task, table.task(task).language.PHRASINGS
      )
      for task in self.sets
    }

  @functools.cached_property
  def _longest(self) -> dict[str, int]:
    """By question type, the most tokens of an answer."""
    longest = {}
    for task, explained in self.sets.items():
      answers = sorted({row['answer'] for row in explained.rows}, key=len)
      ids = self.explainer.tokenizer.encode_batch(answers[-_LONG:])
      longest[task] = max(_NEW_TOKENS, *(len(own) + 2 for own in ids), 0)
    return longest

  def subject(self, task: str) -> subject_lib.Subject:
    """The target, for questions of a type."""
    return subject_lib.Subject(
      self.target, self.sets.get(task), self.dictionary
    )

  def ask(
    self,
    task: str,
    phrasing: str,
    inquiries: Sequence[inquiry_lib.Inquiry],
  ) -> list[inquiry_lib.Finding]:
    """Asks, and checks what is said by re-running the target.

    Args:
      task: the question type.
      phrasing: how it is asked.
      inquiries: what about, at least one.

    Returns:
      A finding for each, in order.

    Raises:
      errors.InputError: naming what of an inquiry does not fit the target.
    """
    for inquiry in inquiries:
      self._require_fitting(inquiry)
    with jax.set_mesh(self.mesh):
      return self._ask(task, phrasing, inquiries)

  def _ask(
    self,
    task: str,
    phrasing: str,
    inquiries: Sequence[inquiry_lib.Inquiry],
  ) -> list[inquiry_lib.Finding]:
    one, subject = table.task(task), self.subject(task)
    subject.require_set(task)
    cases = one.interviewer.cases(subject, inquiries)
    rows = [case.record for case in cases]
    encoded = questions_lib.encode_questions(
      rows,
      self.explainer.tokenizer,
      one.language,
      (phrasing,),
      self.explainer.chat,
    )
    layers = np.array([one.language.layers(row) for row in rows])
    width = self.target.config.width

    def say(vectors: list[np.ndarray | None]) -> list[tuple[str, float]]:
      shown = np.stack([np.zeros(width) if v is None else v for v in vectors])
      said = arms.say_to(
        self.explainer,
        [phrased[0] for phrased in encoded],
        shown[:, None].astype(np.float32),
        layers,
        np.array([v is not None for v in vectors]),
        new_tokens=self._longest[task],
        batch=subject_lib.BATCH,
      )
      chances = [math.exp(p) for p in said.log_probability.tolist()]
      return list(zip(said.output, chances, strict=True))

    own = say([case.vector for case in cases])
    others = [case.other for case in cases]
    controls = say(others) if any(v is not None for v in others) else None
    check = one.interviewer.observe(subject, cases)

    def answer(n: int, shown: str, said: tuple[str, float]):
      return inquiry_lib.Answer(shown, *said, check(n, said[0]))

    return [
      inquiry_lib.Finding(
        task=task,
        question=one.language.question(rows[n], phrasing).replace(
          questions_lib.VECTOR, _SHOWN
        ),
        inquiry=inquiry,
        tokens=tuple(self.target.tokenizer.text(i) for i in inquiry.ids),
        answer=answer(n, cases[n].origin, own[n]),
        control=None
        if controls is None or others[n] is None
        else answer(n, cases[n].other_origin, controls[n]),
      )
      for n, inquiry in enumerate(inquiries)
    ]

  def require_text(self, ids: Sequence[int]) -> None:
    """Checks that the target can read a text.

    Raises:
      errors.InputError: if it is too long, or has a token of no text.
    """
    most = self.target.config.max_positions
    if len(ids) > most:
      raise errors.InputError(
        f'the text has {len(ids)} tokens: expected at most {most}, the '
        'positions of the target'
      )
    for token in ids:
      self.target.tokenizer.token(token)

  def _require_fitting(self, inquiry: inquiry_lib.Inquiry) -> None:
    """Checks that layers, positions and tokens are the target's."""
    shape, count = self.target.config, len(inquiry.ids)
    if not 0 <= inquiry.first <= inquiry.last < shape.layers:
      raise errors.InputError(
        f'layers {inquiry.first} to {inquiry.last}: expected 0 to '
        f'{shape.layers - 1}, the layers of the target'
      )
    if not 0 <= inquiry.start < inquiry.end <= count:
      raise errors.InputError(
        f'positions {inquiry.start} to {inquiry.end - 1}: expected 0 to '
        f'{count - 1}, those of the text'
      )
    source = inquiry.source
    if source is not None and not 0 <= inquiry.source_position < len(source):
      raise errors.InputError(
        f'source position {inquiry.source_position}: expected 0 to '
        f'{len(source) - 1}, those of the source'
      )
    for ids in (inquiry.ids, source or inquiry.ids, inquiry.replacement):
      self.require_text(ids)


def open_interview(
  places: places_lib.Places, mesh: jax.sharding.Mesh, dtype: str = 'float32'
) -> Interview:
  """Loads an explainer and its target.

  Args:
    places: where they are.
    mesh: where they go.
    dtype: of both.

  Raises:
    errors.InputError: if they are not whole, or do not fit together.
  """
  target = target_lib.open_target(places.target, mesh, dtype)
  sets = {task: explanations.read(place) for task, place in places.sets.items()}
  for task, explained in sets.items():
    expected = explained.manifest['target']['weight_hash']
    if target.weight_hash != expected:
      raise errors.InputError(
        f'{places.target} is not the target of the {task} set: expected '
        f'weight_hash {expected[:12]}…'
      )
  dictionary: dictionaries.Dictionaries | None = None
  if places.dictionary:
    of_target = (lambda: target.weight_hash, target.config)
    own = sets[features.NAME].manifest['notes'] if features.NAME in sets else {}
    if own.get('dictionary') is None:
      dictionary = dictionaries.load(places.dictionary, *of_target)
    else:  # The set has labels of its features.
      dictionary = dictionaries.of_set(
        own['dictionary'], places.dictionary, *of_target
      )
  if explainer_lib.training(places.explainer).get('text_only', False):
    raise errors.InputError(
      f'{places.explainer} was trained without vectors, as a control: expected '
      'an explainer that is shown them'
    )
  explainer = explainer_lib.load(places.explainer, mesh, dtype)
  return Interview(explainer, target, sets, dictionary, mesh, places)
