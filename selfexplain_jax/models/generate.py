# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Greedy generation with a cache: one compiled loop that stops early."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selfexplain_jax.models import attention
from selfexplain_jax.models import choice
from selfexplain_jax.models import decoder


class Generated(NamedTuple):
  """Generated tokens.

  Attributes:
    tokens: i32[B, N], the end token included, then padding with it.
    length: i32[B], tokens generated, the end token not counted.
    log_probability: f32[B], of the generated tokens, the end token included.
  """

  tokens: jax.Array
  length: jax.Array
  log_probability: jax.Array


class _Loop(NamedTuple):
  """The state of the decoding loop; S = T + N is the length of the cache."""

  step: jax.Array  # i32[]
  token: jax.Array  # i32[B], the last generated token
  done: jax.Array  # bool[B]
  caches: tuple[tuple[jax.Array, jax.Array], ...]  # per layer, [B, KV, S, W]
  tokens: jax.Array  # i32[B, N]
  length: jax.Array  # i32[B]
  log_probability: jax.Array  # f32[B]


@functools.partial(jax.jit, static_argnames='new_tokens')
def generate(
  model: decoder.Decoder,
  tokens_BxT: jax.Array,
  length_B: jax.Array,
  *,
  new_tokens: int,
  end_id: int | jax.Array,
  embeddings_BxTxD: jax.Array | None = None,
  tap: decoder.Tap | None = None,
) -> Generated:
  """Continues prompts greedily until the end token or `new_tokens` tokens.

  The loop ends as soon as every row has ended. A row of length 0 is padding of
  the batch: it ends before it begins.

  Args:
    model: the decoder.
    tokens_BxT: i32 prompts, padded on the right with any id.
    length_B: i32, tokens of each prompt.
    new_tokens: most tokens to generate, N.
    end_id: the token that ends a row.
    embeddings_BxTxD: taken in place of the prompts' token embeddings.
    tap: at the blocks' sites of the prompts alone: nothing is read or written
      while tokens are generated.
  """
  batch, prompt = tokens_BxT.shape
  config = model.config
  if embeddings_BxTxD is None:
    embeddings_BxTxD = decoder.embed(model, tokens_BxT)

  # Prefill: one scan over layers, whose outputs are the keys and values.
  positions = jnp.arange(prompt, dtype=jnp.int32)[None]
  turn = attention.rotation(config, positions)
  seen = attention.visible(None, batch, prompt)
  state = None if tap is None else tap.start(tokens_BxT)
  indices = jnp.arange(config.layers, dtype=jnp.int32)
  (x, _), (key, value) = jax.lax.scan(
    functools.partial(_prefill_step, config, turn, seen, tap),
    (embeddings_BxTxD, state),
    (model.layers, indices, attention.window_sizes(config)),
  )
  # Heads come before positions, as products with one query want them: turned
  # once here, and not at each token.
  room = ((0, 0), (0, 0), (0, 0), (0, new_tokens), (0, 0))
  key = jnp.pad(jnp.swapaxes(key, 2, 3), room)
  value = jnp.pad(jnp.swapaxes(value, 2, 3), room)
  last = jnp.maximum(length_B - 1, 0)[:, None, None]
  token, log_probability = _choose(model, jnp.take_along_axis(x, last, 1)[:, 0])

  empty = length_B == 0
  start = _Loop(
    step=jnp.zeros((), jnp.int32),
    token=token,
    done=empty,
    # A tuple of caches, updated in place: as scan inputs and outputs they
    # would be copied whole at each token.
    caches=tuple((key[i], value[i]) for i in range(config.layers)),
    tokens=jnp.full((batch, new_tokens), end_id, jnp.int32),
    length=jnp.zeros(batch, jnp.int32),
    log_probability=jnp.where(empty, 0.0, log_probability),
  )
  step = functools.partial(_decode_step, model, length_B, end_id, new_tokens)

  def unfinished(s: _Loop) -> jax.Array:
    return (s.step < new_tokens) & ~jnp.all(s.done)

  end = jax.lax.while_loop(unfinished, step, start)
  return Generated(end.tokens, end.length, end.log_probability)


def _choose(
  model: decoder.Decoder, x_BxD: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The most likely token after a residual stream, and its log probability."""
  hidden = decoder.rms_norm(model.config, x_BxD, model.final_norm[...])
  logits = decoder.unembed(model, hidden)
  made = choice.choose(logits)
  return made.token, made.logit - jax.nn.logsumexp(logits, -1)


def _untapped(site: str, value: jax.Array) -> jax.Array:
  del site
  return value


def _prefill_step(config, turn, seen, tap, carry, inputs):
  """Runs a block over the prompts and returns its keys and values."""
  x, state = carry
  layer, index, window = inputs
  visit, kept = decoder.Visits(tap, state, index), []
  place = jnp.arange(x.shape[1], dtype=jnp.int32)[None]
  near = attention.within(window, seen, place, place)

  def attend(query, key, value):
    kept.extend((key, value))
    return attention.attend(config, query, key, value, near)

  x = decoder.block(config, layer, x, turn, attend, visit)
  return (x, visit.state), tuple(kept)


def _decode_step(
  model: decoder.Decoder,
  length_B: jax.Array,
  end_id: int | jax.Array,
  new_tokens: int,
  s: _Loop,
) -> _Loop:
  """Records the chosen token of every row and computes the next one."""
  config = model.config
  tokens = s.tokens.at[:, s.step].set(jnp.where(s.done, end_id, s.token))
  done = s.done | (s.token == end_id)
  length = s.length + (~done)

  # Prompts end at different places, so each row writes at its own position;
  # what padding left beyond it in the cache is never visible.
  position = (length_B + s.step)[:, None]
  row = jnp.arange(length_B.shape[0], dtype=jnp.int32)
  turn = attention.rotation(config, position)
  slots = jnp.arange(s.caches[0][0].shape[2], dtype=jnp.int32)[None]
  seen = slots[:, None, :] <= position[:, :, None]
  x = decoder.embed(model, s.token[:, None])
  caches = []
  for index in range(config.layers):
    layer = jax.tree.map(lambda p, i=index: p[i], model.layers)
    window = config.windows[index] if config.windows else 0
    near = attention.within(window or None, seen, position, slots)

    def attend(query, key, value, i=index, near=near):
      made = tuple(
        kept.at[row, :, position[:, 0]].set(new[:, 0])
        for kept, new in zip(s.caches[i], (key, value), strict=True)
      )
      caches.append(made)
      keys, values = (jnp.swapaxes(kept, 1, 2) for kept in made)
      return attention.attend(config, query, keys, values, near)

    x = decoder.block(config, layer, x, turn, attend, _untapped)
  token, log_probability = _choose(model, x[:, 0])
  more = ~done & (s.step + 1 < new_tokens)
  return _Loop(
    step=s.step + 1,
    token=token,
    done=done,
    caches=tuple(caches),
    tokens=tokens,
    length=length,
    log_probability=s.log_probability + jnp.where(more, log_probability, 0.0),
  )
