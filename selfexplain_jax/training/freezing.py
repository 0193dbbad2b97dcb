# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Freezing: parameters that are held as they are, by name."""

from typing import Any

import jax

from selfexplain_jax import errors
from selfexplain_jax.training import checkpoints


def labels(tree: Any, frozen: tuple[str, ...]) -> Any:
  """Labels each leaf 'frozen' or 'trained', for `optax.transforms.partition`.

  Args:
    tree: the parameters.
    frozen: names of the leaves that are held, such as 'gate' for 'layers.gate'.
  """
  found = ['frozen' if name in frozen else 'trained' for name in _names(tree)]
  return jax.tree.unflatten(jax.tree.structure(tree), found)


def check(tree: Any, frozen: tuple[str, ...]) -> None:
  """Checks that the tree has a leaf of each name.

  Raises:
    errors.InputError: naming the one that it lacks.
  """
  names = _names(tree)
  for name in frozen:
    if name not in names:
      raise errors.InputError(
        f'config.frozen has {name!r}: expected some of {", ".join(names)}'
      )


def hold(tree: Any, frozen: tuple[str, ...]) -> Any:
  """Returns the tree with no gradient to its frozen leaves.

  Their part of the backward pass is then never computed.
  """
  return jax.tree.map(
    lambda label, x: jax.lax.stop_gradient(x) if label == 'frozen' else x,
    labels(tree, frozen),
    tree,
  )


def _names(tree: Any) -> list[str]:
  """The last part of the name of each leaf."""
  return [name.rsplit('.', 1)[-1] for name in checkpoints.leaf_names(tree)]
