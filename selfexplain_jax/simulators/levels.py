# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Levels of activation: what a simulator is trained to say at each token."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import decoder
from selfexplain_jax.simulators import conventions

IGNORED = -1  # The level of a token that does not count.


def of(activations_NxSxT: np.ndarray) -> np.ndarray:
  """Returns the level of each activation, i32[N, S, T].

  Level 0 is silent; the others are tenths of the largest activation of the
  feature in its documents, rounded up.
  """
  top = activations_NxSxT.max((1, 2), keepdims=True)
  shares = activations_NxSxT / np.where(top > 0, top, 1)
  return np.ceil(np.maximum(shares, 0) * (conventions.LEVELS - 1)).astype(
    np.int32
  )


def logits(
  model: decoder.Decoder,
  tokens_BxL: jax.Array,
  start_B: jax.Array,
  length: int,
  level_ids: Sequence[int],
) -> jax.Array:
  """Runs a simulator on prompts followed by documents.

  Args:
    model: the simulator.
    tokens_BxL: i32, as `conventions.rows` makes them.
    start_B: i32, where the documents begin.
    length: of the documents, T.
    level_ids: the tokens of the levels.

  Returns:
    f32[B, T, 11], of each level at each token of the documents.
  """
  hidden_BxLxD, _ = decoder.forward(model, tokens_BxL)
  at_BxT = start_B[:, None] + jnp.arange(length, dtype=jnp.int32)[None]
  hidden_BxTxD = jnp.take_along_axis(hidden_BxLxD, at_BxT[..., None], 1)
  # A vocabulary of levels: the others' logits would be most of the work.
  small = jax.tree.map(lambda x: x, model)
  name = 'embedding' if model.unembedding is None else 'unembedding'
  table = getattr(model, name)
  rows = table.get_value()[jnp.array(level_ids)]
  setattr(small, name, table.replace(rows))
  return decoder.unembed(small, hidden_BxTxD)


def loss(
  model: decoder.Decoder, batch: dict[str, jax.Array], level_ids: Sequence[int]
) -> jax.Array:
  """Mean cross-entropy in nats of the levels of the tokens that count, f32[].

  Args:
    model: the simulator.
    batch: `tokens` i32[B, L], `start` i32[B] and `levels` i32[B, T], which is
      `IGNORED` where nothing counts.
    level_ids: the tokens of the levels.
  """
  levels_BxT = batch['levels']
  said = logits(
    model, batch['tokens'], batch['start'], levels_BxT.shape[1], level_ids
  )
  counts = levels_BxT != IGNORED
  chosen = jnp.take_along_axis(said, jnp.maximum(levels_BxT, 0)[..., None], -1)
  losses = jax.nn.logsumexp(said, -1) - chosen[..., 0]
  return jnp.sum(losses * counts) / jnp.maximum(jnp.sum(counts), 1)
