# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The explanation sets that an explainer learns from."""

from collections.abc import Mapping, Sequence
import dataclasses

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.explainer import computed
from selfexplain_jax.tasks import table

Sets = Mapping[str, explanations.ExplanationSet]  # By task.


def read(config: ml_collections.ConfigDict) -> Sets:
  """Reads the explanation sets that a config names.

  Raises:
    errors.InputError: if it names none, or sets of other tasks or of several
      targets, or a task has no weight.
  """
  sets = {
    name: explanations.read(directory)
    for name, directory in config.explanations.items()
    if directory
  }
  if not sets:
    raise errors.InputError(
      f'config.explanations names no set: expected one of '
      f'{", ".join(config.explanations)}'
    )
  hashes = set()
  for name, explained in sets.items():
    if explained.manifest['task'] != name:
      raise errors.InputError(
        f'config.explanations.{name} is a set of task '
        f'{explained.manifest["task"]!r}: expected {name!r}'
      )
    if not config.task_weights[name] > 0:
      raise errors.InputError(
        f'config.task_weights.{name} is {config.task_weights[name]}: expected '
        'a number above 0'
      )
    hashes.add(explained.manifest['target']['weight_hash'])
  if len(hashes) > 1:
    raise errors.InputError(
      'the sets of config.explanations explain different models: expected one '
      'target'
    )
  return sets


def origins(
  config: ml_collections.ConfigDict,
  sets: Sets,
  chosen: Mapping[str, np.ndarray],
  width: int,
) -> dict[str, list[Sequence[origins_lib.Origin]]]:
  """Returns where the vectors of chosen records are from, by task.

  Args:
    config: of the training.
    sets: by task.
    chosen: i64[N], records of each task.
    width: D of the model that computes them.

  Raises:
    errors.InputError: if vectors have another width, or a set does not say.
  """
  found = {}
  for name, explained in sets.items():
    stored = explained.vectors
    if len(stored) and stored.shape[1] != width:
      raise errors.InputError(
        f'the vectors are {stored.shape[1]} wide: expected {width}, the width '
        f'of {config.initial}, where config.vectors is {config.vectors!r}'
      )
    language = table.task(name).language
    try:
      found[name] = [language.origins(explained.rows[i]) for i in chosen[name]]
    except errors.InputError as e:
      raise errors.InputError(
        f'{config.explanations[name]}: {e}; or config.vectors='
        f'{computed.STORED!r}, not {config.vectors!r}'
      ) from e
  return found


def require_target(
  directory: str, weight_hash: str, sets: Sets, why: str
) -> None:
  """Checks that a model is the target of sets.

  Args:
    directory: of the model.
    weight_hash: of it.
    sets: of one target.
    why: it has to be.

  Raises:
    errors.InputError: if it is not.
  """
  explained = next(iter(sets.values()))
  expected = explained.manifest['target']['weight_hash']
  if weight_hash != expected:
    raise errors.InputError(
      f'{directory} is not the model that the sets explain: expected '
      f'weight_hash {expected[:12]}…, {why}'
    )


def of_width(sets: Sets, width: int) -> Sets:
  """Returns sets as they are, or with no vectors of another width."""
  if any(len(explained.vectors) for explained in sets.values()):
    return sets
  none = np.zeros((0, width), np.float32)
  return {
    name: dataclasses.replace(explained, vectors=none)
    for name, explained in sets.items()
  }
