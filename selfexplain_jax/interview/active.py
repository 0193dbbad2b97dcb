# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Which features of a dictionary are active on a text, and what they are."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.dictionary import activity
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.tasks import features


@dataclasses.dataclass(frozen=True)
class Active:
  """A feature that is active on a text.

  Attributes:
    layer: its layer.
    feature: its number.
    label: its label in the explanation set; None if it has none.
    split: of the set that it is in; None if it is in none.
    activation: f32[T], how active it is at each token; 0 at BOS.
  """

  layer: int
  feature: int
  label: str | None
  split: str | None
  activation: np.ndarray

  def to_json(self) -> dict[str, Any]:
    """Returns it as values that JSON has."""
    activation = [round(float(a), 4) for a in self.activation]
    return {**dataclasses.asdict(self), 'activation': activation}


def find(
  interview: interview_lib.Interview,
  ids: Sequence[int],
  layer: int,
  most: int = 20,
) -> list[Active]:
  """Finds the features of a layer that are most active on a text.

  Args:
    interview: whose target reads the text.
    ids: the text.
    layer: of the features.
    most: how many, at most.

  Returns:
    Them, the most active one first.

  Raises:
    errors.InputError: if there is no dictionary of this layer.
  """
  dictionary = interview.dictionary
  if dictionary is None or layer not in dictionary.stored:
    known = () if dictionary is None else dictionary.layers
    raise errors.InputError(
      f'there is no dictionary of layer {layer}: expected one of the layers '
      f'{", ".join(map(str, known)) or "that have one, and none has"}'
    )
  interview.require_text(ids)
  with jax.set_mesh(interview.mesh):
    subject = interview.subject(features.NAME)
    stream = subject.activations([tuple(ids)], dictionary.site)[layer, 0]
    sae = dictionary.by_layer[layer]
    fires = np.array(activity.encode(sae, stream)[: len(ids)])
  for position, token in enumerate(ids):
    if token == interview.target.tokenizer.bos_id:
      fires[position] = 0.0  # It is the same in every text.
  strength = fires.max(0)
  known_rows: dict[int, Any] = {}
  if subject.explained is not None:
    known_rows = {
      row['feature']: row
      for row in subject.explained.rows
      if row['place'] == features.FEATURE and row['layer'] == layer
    }
  found = []
  for feature in np.argsort(-strength, kind='stable')[:most].tolist():
    if not strength[feature] > 0:
      break
    row = known_rows.get(feature, {})
    found.append(
      Active(
        layer,
        feature,
        row.get('answer') or None,
        row.get('split'),
        fires[:, feature],
      )
    )
  return found
