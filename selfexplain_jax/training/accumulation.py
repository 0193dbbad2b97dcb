# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Gradients of a batch part by part, which takes less memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from selfexplain_jax import errors
from selfexplain_jax.distributed import axis_rules


def check(parts: int, **rows: int) -> None:
  """Checks that batches can be cut into parts.

  Args:
    parts: as in `split`.
    **rows: of each kind of batch, by the field of the config that has them.

  Raises:
    errors.InputError: naming the field that is no multiple.
  """
  for name, count in rows.items():
    if count % parts:
      raise errors.InputError(
        f'config.{name} is {count}: expected a multiple of '
        f'config.accumulate={parts}, the parts of a step'
      )


def split(batch: Any, parts: int) -> Any:
  """Cuts fields [B, ...] into [parts, B / parts, ...].

  A device keeps the rows that it has, a share of them for each part, where that
  goes; so which rows are in a part depends on the mesh, and their sum does not.
  """
  ways = axis_rules.ways('batch')

  def one(value: jax.Array) -> jax.Array:
    rows, *rest = value.shape
    own = 1 if rows % (ways * parts) else ways
    cut = value.reshape(own, parts, rows // (own * parts), *rest)
    cut = jnp.moveaxis(cut, 1, 0).reshape(parts, rows // parts, *rest)
    return axis_rules.constrain(cut, None, 'batch', *(None,) * len(rest))

  return jax.tree.map(one, batch)


def total(gradients: Callable[[Any], Any], batch: Any, parts: int) -> Any:
  """Returns the sum of what the parts of a batch give, one after the other.

  Args:
    gradients: maps a part to a tree of gradients and metrics, such that those
      of the batch are the sum of those of its parts.
    batch: fields [B, ...].
    parts: how many; 1 gives what `gradients` gives, bit by bit.
  """
  if parts == 1:
    return gradients(batch)
  cut = split(batch, parts)
  shape = jax.eval_shape(gradients, jax.tree.map(lambda x: x[0], cut))
  start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)

  def add(sums: Any, part: Any) -> tuple[Any, None]:
    new = jax.tree.map(jnp.add, sums, gradients(part))
    return axis_rules.constrain_parameters(new), None

  start = axis_rules.constrain_parameters(start)
  return jax.lax.scan(add, start, cut)[0]
