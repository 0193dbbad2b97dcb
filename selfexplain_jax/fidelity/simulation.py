# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Simulators: where a description says that something is active.

A world's descriptions can be executed. Those of a real model need a language
model that reads them, `simulators.trained`: another simulator with the same
interface.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Protocol

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import features
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts

BIOGRAPHIES = 'biographies'


@dataclasses.dataclass(frozen=True)
class Simulated:
  """What N descriptions predict on S documents each.

  Attributes:
    valid: bool[N], whether the description means anything.
    activations: f32[N, S, T], up to scale; 0 for what means nothing.
    active: bool[N, S, T], where it says that there is any activation.
  """

  valid: np.ndarray
  activations: np.ndarray
  active: np.ndarray


class Simulator(Protocol):
  """Says what descriptions predict on the documents that it was made for."""

  @property
  def settings(self) -> Mapping[str, Any]:
    """What it is, for metrics.json: `kind`, and what tells it from others."""
    ...

  def simulate(
    self, descriptions: Sequence[str | None], documents_NxS: np.ndarray
  ) -> Simulated:
    """Predicts activations.

    Args:
      descriptions: N of them; None for no words.
      documents_NxS: int, on which documents, each once in a row.
    """
    ...


class ConceptSimulator:
  """Executes descriptions of a world."""

  settings: Mapping[str, Any] = {'kind': 'executed'}

  def __init__(
    self,
    world: facts.World,
    tokenizer: tokenizer_lib.Tokenizer,
    tokens_MxT: np.ndarray,
  ):
    """Reads the documents."""
    self._executor = descriptions.Executor(world, tokenizer, tokens_MxT)
    self._length = tokens_MxT.shape[1]

  def simulate(
    self, descriptions: Sequence[str | None], documents_NxS: np.ndarray
  ) -> Simulated:
    """Predicts 1 where a description holds, 0 elsewhere."""
    active = np.zeros((*documents_NxS.shape, self._length), bool)
    valid = np.zeros(len(descriptions), bool)
    for n, text in enumerate(descriptions):
      claim = None if text is None else features.parse(text)
      held = None if claim is None else self._holds(claim)
      if held is not None:
        valid[n] = True
        active[n] = held[documents_NxS[n]]
    return Simulated(valid, active.astype(np.float32), active)

  def _holds(self, description: str) -> np.ndarray | None:
    """Returns where a description holds, bool [M, T], if it is one."""
    try:
      return self._executor.holds(description)
    except errors.InputError:
      return None


def executing(
  source: Mapping[str, Any],
  tokenizer: tokenizer_lib.Tokenizer,
  tokens_MxT: np.ndarray,
) -> Simulator | None:
  """Returns what executes the labels of an explanation set, if they can be.

  Args:
    source: the manifest's note of where labels come from: `name`, and what
      that needs; of `biographies`, `world_seed` and `people`.
    tokenizer: the target's.
    tokens_MxT: the documents.
  """
  if source.get('name') != BIOGRAPHIES:
    return None
  world = facts.make_world(source['world_seed'], source['people'])
  return ConceptSimulator(world, tokenizer, tokens_MxT)
