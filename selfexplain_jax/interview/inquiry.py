# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One question about a text of one's own, and what came of it."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Inquiry:
  """A question about one place in a text.

  Attributes:
    ids: the text's tokens, with BOS if the target has one.
    first: first layer asked about.
    last: last layer asked about.
    start: first position asked about, BOS counted.
    end: the position after the last; more than `start + 1` in ablation alone.
    source: of patching, the tokens of the text that the vector is from; None
      for a vector that is drawn from those of the explanation set.
    source_position: where in it.
    replacement: of ablation, what stands in the place of the tokens; empty
      where they are removed.
    feature: of features, a feature of the layer's dictionary; None for the
      activation at the position.
  """

  ids: tuple[int, ...]
  first: int
  last: int
  start: int
  end: int
  source: tuple[int, ...] | None = None
  source_position: int = 0
  replacement: tuple[int, ...] = ()
  feature: int | None = None


@dataclasses.dataclass(frozen=True)
class Case:
  """An inquiry as it is put to the explainer.

  Attributes:
    record: of the question type's schema, but for what happens.
    vector: f32[D], what the explainer is shown; None where it is shown none.
    origin: what the vector is, in words.
    other: f32[D], what it is shown as a control; None for no control.
    other_origin: what that is, in words.
  """

  record: dict[str, Any]
  vector: np.ndarray | None = None
  origin: str = ''
  other: np.ndarray | None = None
  other_origin: str = ''


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What is so, beside what was claimed.

  Attributes:
    holds: whether the claim holds; None for an answer that claims nothing.
    claim: what the answer was understood as; None for nothing.
    effect: what re-running the target shows, of values that JSON has.
    text: the same in a sentence.
  """

  holds: bool | None
  claim: Mapping[str, Any] | None
  effect: Mapping[str, Any]
  text: str


@dataclasses.dataclass(frozen=True)
class Answer:
  """An answer, checked.

  Attributes:
    shown: what the explainer was shown, in words; empty for nothing.
    text: what it said.
    probability: of all of it, 0 to 1.
    verdict: on it.
  """

  shown: str
  text: str
  probability: float
  verdict: Verdict

  def to_json(self) -> dict[str, Any]:
    """Returns it as values that JSON has."""
    return {
      'shown': self.shown,
      'answer': self.text,
      'probability': self.probability,
      'claim': self.verdict.claim,
      'holds': self.verdict.holds,
      'effect': self.verdict.effect,
      'check': self.verdict.text,
    }


@dataclasses.dataclass(frozen=True)
class Finding:
  """What came of an inquiry.

  Attributes:
    task: the question type.
    question: as it was put to the explainer.
    inquiry: what was asked.
    tokens: the text, token by token.
    answer: to the real vector, or to the question where there is none.
    control: to another vector, checked against the same effect; None where the
      question shows none, or there is no other.
  """

  task: str
  question: str
  inquiry: Inquiry
  tokens: tuple[str, ...]
  answer: Answer
  control: Answer | None

  def to_json(self) -> dict[str, Any]:
    """Returns it as values that JSON has."""
    return {
      'task': self.task,
      'question': self.question,
      'ids': list(self.inquiry.ids),
      'tokens': list(self.tokens),
      'layers': [self.inquiry.first, self.inquiry.last],
      'positions': [self.inquiry.start, self.inquiry.end - 1],
      **self.answer.to_json(),
      'control': None if self.control is None else self.control.to_json(),
    }
