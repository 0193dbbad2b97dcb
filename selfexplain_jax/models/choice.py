# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The token that a model is most likely to say next, and how clearly."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules

_BLOCK = 128  # Tokens, at most.


class Choice(NamedTuple):
  """The choice of each row.

  Attributes:
    token: i32[B], the one with the highest logit; of equals the first.
    logit: f32[B], its logit.
    margin: f32[B], by how much that exceeds the runner-up's.
  """

  token: jax.Array
  logit: jax.Array
  margin: jax.Array


def choose(logits_BxV: jax.Array) -> Choice:
  """Chooses by logits f32[B, V].

  First among the highest of blocks of tokens, then within a block: to find how
  high the highest is takes one fast pass, and to find where it is, over all of
  a vocabulary, ten times as long on CPU. A `top_k` of two is worse: XLA makes a
  sort of it.
  """
  rows, size = logits_BxV.shape
  ways = axis_rules.ways('activation_vocabulary')
  # Blocks are of one device, where the vocabulary is split evenly.
  block = math.gcd(_BLOCK, size if size % ways else size // ways)
  blocks = logits_BxV.reshape(rows, -1, block)
  highest = jnp.max(blocks, -1)
  which = jnp.argmax(highest, -1).astype(jnp.int32)
  own = jnp.take_along_axis(blocks, which[:, None, None], 1)[:, 0]
  place = jnp.argmax(own, -1).astype(jnp.int32)
  logit = jnp.max(highest, -1)
  second = jnp.maximum(
    jnp.max(_without(highest, which), -1), jnp.max(_without(own, place), -1)
  )
  return Choice(which * block + place, logit, logit - second)


def _without(values_BxN: jax.Array, place_B: jax.Array) -> jax.Array:
  """Returns values of which one of each row cannot be the highest."""
  places = jnp.arange(values_BxN.shape[1], dtype=jnp.int32)[None]
  return jnp.where(places == place_B[:, None], -jnp.inf, values_BxN)
