# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Captures: which activations leave a forward pass, chosen inside it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.models import taps


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('slot', 'positions'),
  meta_fields=('sites', 'slots', 'shape'),
)
@dataclasses.dataclass(frozen=True)
class Capture:
  """Reads chosen sites, layers and positions, as a tap of `decoder.forward`.

  Nothing that was not asked for is kept. Layers and positions are data; only
  how many of them there are is part of the program.

  Attributes:
    slot: i32[L], where each layer's activations go; `slots` for not at all.
    positions: i32[B, Q], absolute positions to read in each sequence.
    sites: names of the sites to read.
    slots: number of layers read, C.
    shape: width D and dtype of an activation.
  """

  slot: jax.Array
  positions: jax.Array
  sites: tuple[str, ...]
  slots: int
  shape: tuple[int, str]

  def start(self, tokens_BxT: jax.Array) -> dict[str, jax.Array]:
    """Returns the buffers: [C, B, Q, D], or [B, Q, D] without a layer axis."""
    del tokens_BxT
    width, dtype = self.shape
    one = (*self.positions.shape, width)
    return {
      site: jnp.zeros(
        (self.slots, *one) if sites_lib.site(site).layered else one, dtype
      )
      for site in self.sites
    }

  def visit(
    self, kept: Any, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[Any, jax.Array]:
    """Keeps the chosen positions of this site if its layer was asked for."""
    if site not in self.sites:
      return kept, value
    chosen = jnp.take_along_axis(value, self.positions[..., None], 1)
    if sites_lib.site(site).layered:
      chosen = kept[site].at[self.slot[layer]].set(chosen, mode='drop')
    return {**kept, site: chosen}, value


def build(
  config: config_lib.DecoderConfig,
  sites: tuple[str, ...],
  layers: tuple[int, ...],
  positions_BxQ: np.ndarray,
) -> Capture:
  """Builds a capture.

  Args:
    config: of the decoder that will run.
    sites: names of sites.
    layers: layers to read, in the order in which they are returned.
    positions_BxQ: absolute positions, BOS counted.

  Raises:
    errors.InputError: for an unknown site, or a layer that the model lacks or
      that was named before.
  """
  for name in sites:
    sites_lib.site(name)
  slot = np.full(config.layers, len(layers), np.int32)
  for i, layer in enumerate(layers):
    if not 0 <= layer < config.layers:
      raise errors.InputError(
        f'cannot capture layer {layer}: expected 0 to {config.layers - 1}, the '
        'layers of this model'
      )
    if slot[layer] != len(layers):
      raise errors.InputError(
        f'cannot capture layer {layer} twice: expected each layer once in '
        f'{layers}'
      )
    slot[layer] = i
  return Capture(
    slot=jnp.asarray(slot),
    positions=jnp.asarray(positions_BxQ, jnp.int32),
    sites=sites,
    slots=len(layers),
    shape=(config.width, config.dtype),
  )


@jax.jit
def run(
  model: decoder.Decoder, tokens_BxT: jax.Array, capture: Capture
) -> dict[str, jax.Array]:
  """Runs sequences as far as anything is read of them; forms no logits.

  Of the last layer, where few positions are read, no others get more than keys
  and values.

  Args:
    model: the decoder.
    tokens_BxT: i32, padded on the right with any id.
    capture: what to read, for the same B sequences.

  Returns:
    Activations by site, [C, B, Q, D], or [B, Q, D] without a layer axis.
  """
  every = model.config.layers
  layered = any(sites_lib.site(site).layered for site in capture.sites)
  last = jnp.zeros((), jnp.int32)
  if layered:
    read = capture.slot < capture.slots
    last = jnp.max(jnp.where(read, jnp.arange(1, every + 1), 0))
  normed = 'final_norm' in capture.sites
  if normed:
    last = jnp.full((), every, jnp.int32)
  end = None
  rows, few = capture.positions.shape
  if few <= tokens_BxT.shape[1] // 2 and (layered or normed):
    taken = jnp.broadcast_to(jnp.arange(few, dtype=jnp.int32), (rows, few))
    end = taps.End(
      capture.positions, dataclasses.replace(capture, positions=taken)
    )
  _, found = decoder.forward(
    model, tokens_BxT, tap=capture, layers=last, end=end
  )
  return found
