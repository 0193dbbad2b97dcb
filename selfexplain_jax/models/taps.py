# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Taps: what is read and written at the sites of a forward pass."""

import dataclasses
import functools
from typing import Any, Protocol

import jax


class Tap(Protocol):
  """What is done at each site of a forward pass.

  A tap is a pytree. Its state is carried through the scan over layers, so its
  shapes must not depend on the layer.
  """

  def start(self, tokens_BxT: jax.Array) -> Any:
    """Returns the state before the first site."""

  def visit(
    self, state: Any, site: str, layer: jax.Array, value_BxTxD: jax.Array
  ) -> tuple[Any, jax.Array]:
    """Returns the new state and the value that the forward pass goes on with.

    `site` is known when the program is traced; `layer` (i32[]) is not.
    """


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('positions', 'tap'),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class End:
  """The end of a forward pass of which a few positions alone are wanted.

  Attributes:
    positions: i32[B, Q], the only ones that the last layer is run for.
    tap: of what comes after them: of that layer's sites but `resid_pre`, and of
      the final norm. Its values are [B, Q, D], and its state goes on from the
      tap before.
  """

  positions: jax.Array
  tap: Tap


class Visits:
  """The visits of a tap, if any, to the sites of one block.

  Attributes:
    state: the tap's, after the last visit.
  """

  def __init__(
    self,
    tap: Tap | None,
    state: Any,
    layer: jax.Array,
    end: End | None = None,
  ):
    self._tap, self.state, self._layer = tap, state, layer
    self._later = tap if end is None else end.tap

  def __call__(self, site: str, value_BxTxD: jax.Array) -> jax.Array:
    tap = self._tap if site == 'resid_pre' else self._later
    if tap is None:
      return value_BxTxD
    self.state, value = tap.visit(self.state, site, self._layer, value_BxTxD)
    return value


def untapped(site: str, value_BxTxD: jax.Array) -> jax.Array:
  """The visit of a run that neither reads nor writes: the value goes on."""
  del site
  return value_BxTxD
