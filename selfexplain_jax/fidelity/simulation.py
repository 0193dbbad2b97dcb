# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Simulators: where a description says that something is active.

A world's descriptions can be executed. A real model's need a language model
that reads them; that is another implementation of the same interface.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts

BIOGRAPHIES = 'biographies'


class Simulator(Protocol):
  """Says what descriptions predict on the documents that it was made for."""

  def simulate(self, description: str) -> np.ndarray | None:
    """Predicts activations on all documents.

    Returns:
      Predicted activations, up to scale, [N, T]; None for a description that
      means nothing.
    """
    ...


class ConceptSimulator:
  """Executes descriptions of a world."""

  def __init__(
    self,
    world: facts.World,
    tokenizer: tokenizer_lib.Tokenizer,
    tokens_NxT: np.ndarray,
  ):
    """Reads the documents."""
    self._executor = descriptions.Executor(world, tokenizer, tokens_NxT)

  def simulate(self, description: str) -> np.ndarray | None:
    """Returns where the description holds, bool [N, T], if it is one."""
    try:
      return self._executor.holds(description)
    except errors.InputError:
      return None


def make(
  source: Mapping[str, Any],
  tokenizer: tokenizer_lib.Tokenizer,
  tokens_NxT: np.ndarray,
) -> Simulator:
  """Returns the simulator that goes with the labels of an explanation set.

  Args:
    source: the manifest's note of where labels come from: `name`, and what
      that needs; of `biographies`, `world_seed` and `people`.
    tokenizer: the target's.
    tokens_NxT: the documents.

  Raises:
    errors.InputError: if there is none for such labels.
  """
  if source.get('name') != BIOGRAPHIES:
    raise errors.InputError(
      f'labels are of {source.get("name")!r}, whose descriptions cannot be '
      f'executed: expected {BIOGRAPHIES!r}'
    )
  world = facts.make_world(source['world_seed'], source['people'])
  return ConceptSimulator(world, tokenizer, tokens_NxT)
