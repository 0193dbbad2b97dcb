# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Sparse autoencoders: an activation as a few of many learned directions."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import axis_rules


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=(
    'encoder_DxS',
    'encoder_bias_S',
    'decoder_SxD',
    'decoder_bias_D',
    'threshold_S',
  ),
  meta_fields=('k',),
)
@dataclasses.dataclass(frozen=True)
class SparseAutoencoder:
  """A dictionary of S features over activations of width D, all in float32.

  Those of several layers are stacked: then every array has a leading axis, and
  `jax.vmap` goes over it.

  Attributes:
    encoder_DxS: f32[D, S].
    encoder_bias_S: f32[S].
    decoder_SxD: f32[S, D]; row i is the direction of feature i.
    decoder_bias_D: f32[D], subtracted before encoding and added at the end.
    threshold_S: f32[S], at least 0, of `jumprelu`: a feature fires if what is
      encoded for it is above. Not used, and 0, in `topk`.
    k: of `topk`: the k features fire for which the most is encoded, if it is
      above 0; None in `jumprelu`.
  """

  encoder_DxS: jax.Array
  encoder_bias_S: jax.Array
  decoder_SxD: jax.Array
  decoder_bias_D: jax.Array
  threshold_S: jax.Array
  k: int | None = None

  @property
  def kind(self) -> str:
    """'topk' (Gao et al. 2024) or 'jumprelu' (Rajamanoharan et al. 2024)."""
    return 'jumprelu' if self.k is None else 'topk'

  @property
  def features(self) -> int:
    """S."""
    return self.decoder_SxD.shape[-2]

  def layer(self, index: int | jax.Array) -> 'SparseAutoencoder':
    """Returns one of those that are stacked."""
    return jax.tree.map(lambda leaf: leaf[index], self)


# Logical axes by field: a dictionary is an MLP with one wide hidden layer.
AXES = {
  'encoder_DxS': ('width', 'mlp'),
  'encoder_bias_S': ('mlp',),
  'decoder_SxD': ('mlp', 'width'),
  'decoder_bias_D': ('norm',),
  'threshold_S': ('mlp',),
}


def constrain(tree: Any) -> Any:
  """Constrains all stacked dictionaries of a tree to their logical axes.

  Inside a compiled program, as `axis_rules.constrain_parameters` does with the
  parameters of modules; other arrays are whole on each device.
  """

  def one(leaf: Any) -> Any:
    if not isinstance(leaf, SparseAutoencoder):
      return axis_rules.constrain(leaf, *(None,) * jnp.ndim(leaf))
    constrained = {
      name: axis_rules.constrain(getattr(leaf, name), 'layers', *axes)
      for name, axes in AXES.items()
    }
    return SparseAutoencoder(**constrained, k=leaf.k)

  return jax.tree.map(
    one, tree, is_leaf=lambda x: isinstance(x, SparseAutoencoder)
  )


def place(
  field: str,
  shape: tuple[int, ...],
  read: Callable[[tuple[slice, ...]], np.ndarray],
) -> jax.Array:
  """Makes an array of one dictionary, sharded over the mesh that is set.

  Args:
    field: which of the arrays.
    shape: its shape, not stacked.
    read: returns the part of it that a device holds; with no mesh, all of it.
  """
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return jnp.asarray(read((slice(None),) * len(shape)))
  sharding = axis_rules.sharding(AXES[field], shape, mesh)
  kept: dict[str, np.ndarray] = {}  # Devices share a reading of the same part.

  def part(at: tuple[slice, ...] | None) -> np.ndarray:
    assert at is not None
    key = repr(at)  # Slices have no hash before CPython 3.12.
    if key not in kept:
      kept[key] = read(at)
    return kept[key]

  return jax.make_array_from_callback(shape, sharding, part)


def encoded(sae: SparseAutoencoder, x: jax.Array) -> jax.Array:
  """Returns what is encoded before it is decided which features fire.

  Args:
    sae: a dictionary, not stacked.
    x: activations [..., D] of any float type.

  Returns:
    f32[..., S].
  """
  flat = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
  out = (flat - sae.decoder_bias_D[None]) @ sae.encoder_DxS
  out = out + sae.encoder_bias_S[None]
  return out.reshape(*x.shape[:-1], -1)


def encode(sae: SparseAutoencoder, x: jax.Array) -> jax.Array:
  """Returns the feature activations f32[..., S] of raw activations [..., D]."""
  values = encoded(sae, x)
  if sae.k is None:
    shape = (1,) * (values.ndim - 1) + (-1,)
    fires = values > jnp.maximum(sae.threshold_S, 0.0).reshape(shape)
    return jnp.where(fires, values, 0.0)
  return keep_highest(values, sae.k)


def decode(sae: SparseAutoencoder, features: jax.Array) -> jax.Array:
  """Returns the activations f32[..., D] of feature activations [..., S]."""
  flat = features.reshape(-1, features.shape[-1])
  out = flat @ sae.decoder_SxD + sae.decoder_bias_D[None]
  return out.reshape(*features.shape[:-1], -1)


def keep_highest(values: jax.Array, k: int) -> jax.Array:
  """Returns [..., S] with 0 for all but the k highest, and for negative ones.

  Of equal values the first are kept.
  """
  highest, index = jax.lax.top_k(values, k)
  none = jnp.zeros_like(values)
  return jnp.put_along_axis(
    none, index, jnp.maximum(highest, 0.0), -1, inplace=False
  )
