# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A target with what is known of it: whom an interview is about."""

from collections.abc import Sequence
import dataclasses
import zlib

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.tasks import target as target_lib

# Texts are padded to multiples of so many tokens, and inquiries are run so many
# at a time: one compiled program serves all that are of about one length.
LENGTH_STEP = 16
BATCH = 8
_ROUNDING = 0.01  # Of bfloat16, relative.


@dataclasses.dataclass(frozen=True)
class Subject:
  """A target, and an explanation set of one question type about it.

  Attributes:
    target: the target.
    explained: the set that the explainer learnt from, for the site, vectors of
      others and documents; None where it has not learnt this type.
    dictionary: the target's dictionaries; None where there are none.
  """

  target: target_lib.Target
  explained: explanations.ExplanationSet | None
  dictionary: dictionaries.Dictionaries | None

  @property
  def site(self) -> str:
    """Where vectors are read and written, as in the set."""
    if (
      self.explained is None
      or 'site' not in self.explained.records.schema.names
    ):
      return 'resid_post'
    return self.explained.records['site'][0].as_py()

  def activations(
    self, ids: Sequence[Sequence[int]], site: str = ''
  ) -> np.ndarray:
    """Returns the target's activations at a site, or its own, f32[L, N, T, D].

    T is the padded length of the longest text.
    """
    length = padded_length(ids)
    tokens, _ = prompts_lib.pad(ids, length)
    layers = tuple(range(self.target.config.layers))
    parts = activity.residuals(
      self.target.model, tokens, site or self.site, layers, BATCH
    )
    return np.concatenate([stream for _, stream in parts], 1)

  def text(self, ids: Sequence[int]) -> str:
    """Returns a text without the BOS that it begins with, if there is any."""
    tokenizer = self.target.tokenizer
    start = 0 if tokenizer.bos_id is None else 1
    return tokenizer.decode(ids[start:], special=True)

  @property
  def treatments(self) -> list[str]:
    """What vectors of validation records can be drawn of."""
    if self.explained is None:
      return []
    rows = self.explained.rows
    chosen = (rows[i] for i in self.explained.split('validation').tolist())
    return sorted({row['treatment'] for row in chosen if row['vectors']})

  def draw(
    self,
    purpose: str,
    treatment: str,
    place: str | None = None,
    unlike: np.ndarray | None = None,
  ) -> int | None:
    """Draws a validation record with a vector, for want of one or as a control.

    Args:
      purpose: what the draw depends on.
      treatment: that the record is of.
      place: that the record is of; None for any.
      unlike: f32[D], the vector that a control is not to be.

    Returns:
      The record, or None if there is none.
    """
    if self.explained is None:
      return None
    rows = self.explained.rows
    found = [
      index
      for index in self.explained.split('validation').tolist()
      if rows[index]['treatment'] == treatment
      and rows[index]['vectors']
      and place in (None, rows[index]['place'])
    ]
    start = zlib.crc32(purpose.encode()) % max(1, len(found))
    for index in [*found[start:], *found[:start]]:
      if unlike is None:
        return index
      apart = np.linalg.norm(self.stored(index) - unlike)
      # Another batch shape computes the same vector but for rounding.
      if apart > _ROUNDING * np.linalg.norm(unlike):
        return index
    return None

  def stored(self, index: int) -> np.ndarray:
    """Returns the first vector of a record of the set, f32[D]."""
    assert self.explained is not None
    own = self.explained.rows[index]['vectors'][0]
    return np.asarray(self.explained.vectors[own], np.float32)

  def require_set(self, name: str) -> explanations.ExplanationSet:
    """Returns the set.

    Raises:
      errors.InputError: if there is none.
    """
    if self.explained is None:
      raise errors.InputError(
        f'the explainer has learnt from no set of {name}: expected another '
        'question type, or an explainer of that one'
      )
    return self.explained


def padded_length(ids: Sequence[Sequence[int]]) -> int:
  """The length that texts are padded to."""
  return -(-max(map(len, ids)) // LENGTH_STEP) * LENGTH_STEP
