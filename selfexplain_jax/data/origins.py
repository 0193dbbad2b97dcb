# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Origins of vectors: which activations of which prompts they are.

With them the model that vectors were taken from can compute them anew.
"""

from collections.abc import Iterable, Sequence
import dataclasses

import numpy as np

from selfexplain_jax import errors


@dataclasses.dataclass(frozen=True)
class Origin:
  """Where a vector is from: the mean of a site over a block of layers.

  Attributes:
    ids: token ids of the prompt, BOS included.
    position: the token that is read, absolute.
    site: name of the site.
    first: first layer of the block.
    last: last layer, included.
  """

  ids: Sequence[int]
  position: int
  site: str
  first: int
  last: int

  @property
  def read(self) -> Sequence[int]:
    """The ids up to the position: no activation depends on what comes after."""
    return self.ids[: self.position + 1]


def arrays(
  found: Sequence[Origin], most: int, length: int
) -> dict[str, np.ndarray]:
  """Returns some origins as fields of a batch's row.

  Args:
    found: at most K origins.
    most: K.
    length: T, at least that of what is read of each prompt.

  Returns:
    `origin_tokens` i32[K, T], padded on the right with 0; `origin_positions`
    i32[K]; and `origin_layers` i32[K, 2], first and last layer. Where there is
    no vector the block of layers is empty: its last one is -1.
  """
  tokens = np.zeros((most, length), np.int32)
  positions = np.zeros(most, np.int32)
  layers = np.tile(np.array([0, -1], np.int32), (most, 1))
  for k, origin in enumerate(found):
    tokens[k, : len(origin.read)] = origin.read
    positions[k] = origin.position
    layers[k] = origin.first, origin.last
  return {
    'origin_tokens': tokens,
    'origin_positions': positions,
    'origin_layers': layers,
  }


def site(found: Iterable[Origin]) -> str:
  """Returns the site that all origins read; '' if there are none.

  Raises:
    errors.InputError: if they read several.
  """
  sites = sorted({origin.site for origin in found})
  if len(sites) > 1:
    raise errors.InputError(
      f'vectors are from the sites {", ".join(sites)}: expected one site'
    )
  return sites[0] if sites else ''
