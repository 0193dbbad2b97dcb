# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The layer blocks of a target that vectors come from, as numbers."""

from collections.abc import Iterable
import dataclasses
from typing import Any

import numpy as np

from selfexplain_jax import errors


@dataclasses.dataclass(frozen=True)
class LayerBlocks:
  """A table of layer blocks; a block's id is its place in it.

  Attributes:
    pairs: first and last layer of each block, both included; distinct. Empty
      where vectors are not told apart: then every vector has id 0.
  """

  pairs: tuple[tuple[int, int], ...] = ()

  @property
  def count(self) -> int:
    """How many ids there are, C."""
    return max(1, len(self.pairs))

  def ids(self, bounds: Any) -> np.ndarray:
    """Returns the ids of vectors.

    Args:
      bounds: ints [..., 2], first and last layer of each vector's block.

    Returns:
      i32[...].

    Raises:
      errors.InputError: naming a block that is not in the table.
    """
    bounds = np.asarray(bounds, np.int64)
    if not self.pairs or not bounds.size:
      return np.zeros(bounds.shape[:-1], np.int32)
    found, places = np.unique(
      bounds.reshape(-1, 2), axis=0, return_inverse=True
    )
    table = {pair: i for i, pair in enumerate(self.pairs)}
    numbers = np.empty(len(found), np.int32)
    for i, (first, last) in enumerate(found.tolist()):
      if (first, last) not in table:
        raise errors.InputError(
          f'a vector comes from layers {first} to {last}: expected one of the '
          f'layer blocks of the explainer, {self}'
        )
      numbers[i] = table[first, last]
    return numbers[places.reshape(-1)].reshape(bounds.shape[:-1])

  def __str__(self) -> str:
    return ', '.join(f'{first} to {last}' for first, last in self.pairs)


def distinct(bounds: Iterable[Iterable[int]]) -> LayerBlocks:
  """Returns the table of the distinct blocks among `bounds`, [N, 2], sorted."""
  pairs = {(int(first), int(last)) for first, last in bounds}
  return LayerBlocks(tuple(sorted(pairs)))
