# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a question type consists of."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any, Protocol

import ml_collections
import numpy as np
import pyarrow as pa

from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.fidelity import said as said_lib
from selfexplain_jax.interview import inquiry as inquiry_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import target as target_lib

Record = Mapping[str, Any]


class Language(Protocol):
  """How a question type is asked and answered; a module of `tasks`.

  Attributes:
    NAME: of the question type.
    PHRASINGS: templates of the question, for models of a world. One is drawn
      for each visit of an example; evaluation always takes the first.
    TEXT_PHRASINGS: the same for models that read any text.
    FIELDS: what stands for what in published phrasings: a field of them, and
      the words and fields that take its place.
    SCHEMA: the columns of its records, `explanations.COMMON` first.
  """

  NAME: str
  PHRASINGS: tuple[str, ...]
  TEXT_PHRASINGS: tuple[str, ...]
  FIELDS: dict[str, str]
  SCHEMA: pa.Schema

  def question(self, record: Record, phrasing: str) -> str:
    """Renders the question of a record."""
    ...

  def answer(self, record: Record) -> str:
    """Renders the answer of a record from what really happens."""
    ...

  def right(self, said: str, record: Record) -> bool:
    """Whether an answer claims all that the record's own does."""
    ...

  def misplaced(self, record: Record, other: Record) -> Record | None:
    """The record with the layers of another one; None if it names no layers."""
    ...

  def layers(self, record: Record) -> tuple[int, int]:
    """First and last layer that the record's vectors are of."""
    ...

  def origins(self, record: Record) -> Sequence[origins_lib.Origin]:
    """Where each of the record's vectors is from.

    Raises:
      errors.InputError: if they are no activations, or the record does not say.
    """
    ...

  def examples(self, records: Sequence[Record]) -> list[str]:
    """Answers of these records that show every form of an answer."""
    ...

  def words(self, depth: int) -> tuple[str, ...]:
    """Every word of questions and answers but those of texts and tokens.

    `depth` is the number of layers of the target.
    """
    ...


@dataclasses.dataclass(frozen=True)
class Made:
  """What an explanation set is written from.

  Attributes:
    records: with the columns of the language's schema.
    vectors: f32[V, D], what the records' `vectors` refer to.
    notes: for the manifest: what was left out, and why.
    documents: token rows that descriptions are checked on, i32[N, T]; None
      for questions about effects.
  """

  records: list[dict[str, Any]]
  vectors: np.ndarray
  notes: dict[str, Any]
  documents: np.ndarray | None = None


class Maker(Protocol):
  """Makes the explanation set of one target, once its inputs are checked."""

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    ...

  def make(self, kept: files.PathLike | None = None) -> Made:
    """Runs the interventions.

    Args:
      kept: folder for what is done of work that takes long, so that it is not
        done again when the job is started anew; None to keep nothing.
    """
    ...


Prepare = Callable[[target_lib.Target, ml_collections.ConfigDict], Maker]


@dataclasses.dataclass(frozen=True)
class Checked:
  """How far what was said agrees with what the target does.

  Attributes:
    figures: of metrics.json, but for what names the run.
    tables: by name; `predictions` among them, a row for each arm and record.
  """

  figures: dict[str, Any]
  tables: dict[str, pa.Table]


class Evaluation(Protocol):
  """How the answers of a question type are checked."""

  @property
  def black_box(
    self,
  ) -> Callable[[target_lib.Target, list[dict[str, Any]]], list[str]] | None:
    """Answers by asking the target itself, where that can be done."""
    ...

  @property
  def neighbours_within_cells(self) -> bool:
    """Whether the nearest neighbour is of the same place and treatment."""
    ...

  def observe(
    self,
    target: target_lib.Target,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    config: ml_collections.ConfigDict,
  ) -> Any:
    """Runs the target on what the records are about."""
    ...

  def controls(
    self, train: Mapping[str, Any], evaluated: Mapping[str, Any]
  ) -> dict[str, Callable[[], list[str]]]:
    """Answers of baselines without vectors, from records as columns."""
    ...

  def check(
    self,
    said: Mapping[str, said_lib.Said],
    shown: Any,
    explained: explanations.ExplanationSet,
    chosen: np.ndarray,
    seed: int,
  ) -> Checked:
    """Compares what was said, by arm, with what `observe` returned."""
    ...


class Interviewer(Protocol):
  """How one's own questions of a type are put and checked; of `interview`."""

  def cases(
    self,
    subject: subject_lib.Subject,
    inquiries: Sequence[inquiry_lib.Inquiry],
  ) -> list[inquiry_lib.Case]:
    """Finds what N questions show, and renders them.

    Raises:
      errors.InputError: naming what there is not.
    """
    ...

  def observe(
    self, subject: subject_lib.Subject, made: Sequence[inquiry_lib.Case]
  ) -> Callable[[int, str], inquiry_lib.Verdict]:
    """Runs the target on N cases; returns what checks an answer to the n-th."""
    ...


@dataclasses.dataclass(frozen=True)
class Task:
  """A question type.

  Attributes:
    language: how it is asked and answered.
    makers: by name, what reads and checks what its explanation set is made
      from.
    evaluation: how answers are checked.
    interviewer: how one's own questions are put.
  """

  language: Language
  makers: Mapping[str, Prepare]
  evaluation: Evaluation
  interviewer: Interviewer
