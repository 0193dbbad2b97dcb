# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Patches: rows of arrays that say what to write where in a forward pass.

A patch is data and never code, so one compiled program serves any mix of
sites, layers, positions and modes in one batch.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import sites as sites_lib

OFF, REPLACE, ADD = 0, 1, 2


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('site', 'first', 'last', 'position', 'mode', 'vector'),
  meta_fields=('sites',),
)
@dataclasses.dataclass(frozen=True)
class Patches:
  """P patches for each of B sequences, applied as a tap of `decoder.forward`.

  A patch writes its vector at one position, at every layer from `first` to
  `last`, both included. The replacements of a sequence must not overlap
  (`build` sees to it); additions may, and come after replacements.

  Attributes:
    site: i32[B, P], `Site.index`.
    first: i32[B, P], first layer written; 0 for sites without layers.
    last: i32[B, P], last layer written.
    position: i32[B, P], absolute, BOS counted; outside the sequence: nothing is
      written, nor counted.
    mode: i32[B, P], OFF, REPLACE or ADD.
    vector: f32[B, P, D].
    sites: names of the sites that are looked at; part of the program, so a
      caller keeps it fixed where it wants a single compile.
  """

  site: jax.Array
  first: jax.Array
  last: jax.Array
  position: jax.Array
  mode: jax.Array
  vector: jax.Array
  sites: tuple[str, ...]

  def start(self, tokens_BxT: jax.Array) -> jax.Array:
    """Returns the count of written cells so far, i32[B]."""
    return jnp.zeros(tokens_BxT.shape[0], jnp.int32)

  def visit(
    self, written: jax.Array, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Writes the patches of this site and layer and counts them."""
    if site not in self.sites:
      return written, value
    length = value.shape[1]
    here = (
      (self.site == sites_lib.site(site).index)
      & (self.first <= layer)
      & (layer <= self.last)
      & (self.mode != OFF)
      & (0 <= self.position)
      & (self.position < length)
    )
    vector = self.vector.astype(value.dtype)
    # By row, so that each device writes its own. A position past the end is
    # dropped by the scatter: that is "not here".
    where = jnp.where(here & (self.mode == REPLACE), self.position, length)
    value = jax.vmap(lambda x, at, v: x.at[at].set(v, mode='drop'))(
      value, where, vector
    )
    where = jnp.where(here & (self.mode == ADD), self.position, length)
    value = jax.vmap(lambda x, at, v: x.at[at].add(v, mode='drop'))(
      value, where, vector
    )
    return written + jnp.sum(here, 1, dtype=jnp.int32), value


def build(
  site: str,
  first_BxP: np.ndarray,
  last_BxP: np.ndarray,
  position_BxP: np.ndarray,
  vector_BxPxD: np.ndarray,
  mode: int | np.ndarray = REPLACE,
) -> Patches:
  """Builds patches of a single site from host arrays.

  Args:
    site: name of the site.
    first_BxP: first layers.
    last_BxP: last layers, not below the first ones.
    position_BxP: absolute positions.
    vector_BxPxD: what to write.
    mode: one mode for all, or [B, P].

  Raises:
    ValueError: if a block ends before it begins, or two replacements of one
      sequence write the same cell (which of them would win is undefined).
  """
  shape = np.shape(first_BxP)
  mode_BxP = np.broadcast_to(np.asarray(mode, np.int32), shape)
  if np.any(np.asarray(last_BxP) < np.asarray(first_BxP)):
    raise ValueError('a patch has its last layer before its first layer')
  for a in range(shape[1]):
    for b in range(a):
      clash = (
        (mode_BxP[:, a] == REPLACE)
        & (mode_BxP[:, b] == REPLACE)
        & (position_BxP[:, a] == position_BxP[:, b])
        & (first_BxP[:, a] <= last_BxP[:, b])
        & (first_BxP[:, b] <= last_BxP[:, a])
      )
      if np.any(clash):
        raise ValueError(
          f'row {int(np.argmax(clash))}: patches {b} and {a} replace the same '
          f'{site} cell'
        )

  def integers(values: np.ndarray) -> jax.Array:
    return jnp.asarray(values, jnp.int32)

  return Patches(
    site=integers(np.full(shape, sites_lib.site(site).index)),
    first=integers(first_BxP),
    last=integers(last_BxP),
    position=integers(position_BxP),
    mode=integers(mode_BxP),
    vector=jnp.asarray(vector_BxPxD, jnp.float32),
    sites=(site,),
  )
