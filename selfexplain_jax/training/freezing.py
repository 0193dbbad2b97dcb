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
    frozen: ends of the names of the leaves that are held, such as 'gate'.
  """
  names = checkpoints.leaf_names(tree)
  found = ['frozen' if name.endswith(frozen) else 'trained' for name in names]
  return jax.tree.unflatten(jax.tree.structure(tree), found)


def check(tree: Any, frozen: tuple[str, ...]) -> None:
  """Checks that every name is the end of some leaf's.

  Raises:
    errors.InputError: naming the one that is not.
  """
  names = checkpoints.leaf_names(tree)
  for end in frozen:
    if not any(name.endswith(end) for name in names):
      raise errors.InputError(
        f'config.frozen has {end!r}: expected ends of {", ".join(names)}'
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
