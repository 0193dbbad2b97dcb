# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Logical axis names, and the one table that maps them to mesh axes.

Model code names what an axis is; this table says over which mesh axes it is
split. Parameters and activations have different names, because they are split
differently. An unknown name raises: a typing error must not replicate a tensor.
"""

import math
from typing import Any

from flax import nnx
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

RULES: dict[str, str | tuple[str, ...] | None] = {
  # Parameters.
  'layers': None,
  'vocabulary': 'tensor',
  'width': 'fsdp',
  'heads': 'tensor',
  'kv_heads': 'tensor',
  'mlp': 'tensor',
  'norm': None,
  'rank': None,
  # Of factors, which have no other axis to split over `fsdp`.
  'factor_heads': ('tensor', 'fsdp'),
  'factor_kv_heads': ('tensor', 'fsdp'),
  'factor_mlp': ('tensor', 'fsdp'),
  # Activations.
  'batch': ('data', 'fsdp'),
  # Where the width of what is looked up is still split over `fsdp`.
  'looked_up': 'data',
  'sequence': None,
  'activation_width': None,
  'activation_heads': 'tensor',
  'activation_kv_heads': 'tensor',
  'activation_mlp': 'tensor',
  'activation_vocabulary': 'tensor',
}


def partition_spec(axes: tuple[str | None, ...]) -> PartitionSpec:
  """Maps logical axis names to a PartitionSpec; None means not split.

  Raises:
    KeyError: if a name is not in the table.
  """
  return PartitionSpec(*(RULES[a] if a is not None else None for a in axes))


def ways(axis: str) -> int:
  """Into how many parts the mesh that is set splits an axis, at most.

  Raises:
    KeyError: if the name is not in the table.
  """
  mesh = jax.sharding.get_abstract_mesh()
  names = RULES[axis] or ()
  names = (names,) if isinstance(names, str) else names
  return math.prod(mesh.shape[name] for name in names if name in mesh.shape)


def constrain(value: jax.Array, *axes: str | None) -> jax.Array:
  """Constrains an activation inside a compiled program to its logical axes.

  As in `shardings`, an axis is split over the mesh axes that divide it.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if not mesh.axis_names:
    return value
  spec = _divided(axes, value.shape, mesh)
  return jax.lax.with_sharding_constraint(value, spec)


def constrain_parameters(tree: Any) -> Any:
  """Constrains every parameter of a tree to its own axes, as `constrain` does.

  Gradients and the memory of an optimizer, which hold parameters too, would
  else come out of a compiled program split in other ways than the model, or
  whole on every device. Other arrays, such as counts, are whole on each.
  """

  def one(leaf: Any) -> Any:
    if not isinstance(leaf, nnx.Variable):
      return constrain(leaf, *(None,) * jnp.ndim(leaf))
    value = leaf.get_value()
    if not isinstance(value, jax.Array):  # Where an optimizer keeps nothing.
      return leaf
    return leaf.replace(constrain(value, *leaf.axes))

  return jax.tree.map(one, tree, is_leaf=lambda x: isinstance(x, nnx.Variable))


def _divided(
  axes: tuple[str | None, ...],
  shape: tuple[int, ...],
  mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh,
) -> PartitionSpec:
  """The PartitionSpec without the mesh axes that do not divide evenly."""
  spec: list[str | tuple[str, ...] | None] = []
  for size, axis in zip(shape, partition_spec(axes), strict=True):
    names = (axis,) if isinstance(axis, str) else (axis or ())
    names = tuple(name for name in names if mesh.shape[name] > 1)
    while names and size % math.prod(mesh.shape[name] for name in names):
      names = names[:-1]
    spec.append(names[0] if len(names) == 1 else names or None)
  # As compiled programs say it, or a step is compiled again for its own result.
  while spec and spec[-1] is None:
    spec.pop()
  return PartitionSpec(*spec)


def sharding(
  axes: tuple[str | None, ...],
  shape: tuple[int, ...],
  mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh,
) -> NamedSharding:
  """Returns how an array of these logical axes is laid out on a mesh.

  As in `shardings`, an axis is split over the mesh axes that divide it.
  """
  return NamedSharding(mesh, _divided(axes, shape, mesh))


def shardings(tree: Any, mesh: jax.sharding.Mesh) -> Any:
  """Returns the tree of NamedShardings of a module's parameters.

  Axes come from the parameters' own `axes`; of the mesh axes that one is split
  over, the last are left out until the others divide it evenly, since jax.jit
  refuses uneven shardings.

  Args:
    tree: a module, or abstract module, whose leaves are nnx.Param with `axes`.
    mesh: a mesh with the axes of the table.

  Returns:
    The tree with a NamedSharding in place of each array.
  """

  def one(param: nnx.Variable) -> nnx.Variable:
    spec = _divided(param.axes, param.get_value().shape, mesh)
    return param.replace(NamedSharding(mesh, spec))

  return jax.tree.map(one, tree, is_leaf=lambda x: isinstance(x, nnx.Variable))
