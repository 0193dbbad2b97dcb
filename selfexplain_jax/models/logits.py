# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Logits, in float32, and their gradient, in the dtype of activations.

The gradient is rounded as it is after any other product: left in float32 it
would draw the unembedding, the largest table there is, into a product of
float32, which a GPU has no fast one for.
"""

from typing import Any

import jax
import jax.numpy as jnp


@jax.custom_vjp
def logits(hidden_NxD: jax.Array, table_VxD: jax.Array) -> jax.Array:
  """Returns products of hidden states with the unembedding, f32[N, V].

  There is no derivative in forward mode.

  Args:
    hidden_NxD: after the final norm, in the dtype of activations.
    table_VxD: the unembedding, in the same.
  """
  return jnp.einsum(
    'nd,vd->nv', hidden_NxD, table_VxD, preferred_element_type=jnp.float32
  )


def _forward(hidden_NxD: jax.Array, table_VxD: jax.Array) -> Any:
  return logits(hidden_NxD, table_VxD), (hidden_NxD, table_VxD)


def _backward(kept: Any, gradient_NxV: jax.Array) -> Any:
  hidden_NxD, table_VxD = kept
  gradient_NxV = gradient_NxV.astype(hidden_NxD.dtype)
  return (
    jnp.einsum('nv,vd->nd', gradient_NxV, table_VxD),
    jnp.einsum('nv,nd->vd', gradient_NxV, hidden_NxD),
  )


logits.defvjp(_forward, _backward)
