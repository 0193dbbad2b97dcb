# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Greedy generation with a cache: a compiled loop that stops early."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import attention
from selfexplain_jax.models import choice
from selfexplain_jax.models import decoder
from selfexplain_jax.models import taps

_HEADS_FIRST = ('batch', 'activation_kv_heads', 'sequence', None)

# Rows and tokens of each from which on letting half of the rows go on alone is
# worth a second loop that has to be compiled.
_FEWEST_ROWS, _FEWEST_TOKENS = 64, 16

_COPIED = 2**30  # Bytes, at most, of layers' parameters that are copied.


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


class _Prompts(NamedTuple):
  """What is known of prompts, which no generated token changes.

  Attributes:
    length: i32[B], tokens of each.
    key: of each layer, [B, KV, T, W], rotated.
    value: the same of values.
  """

  length: jax.Array
  key: tuple[jax.Array, ...]
  value: tuple[jax.Array, ...]


class _Loop(NamedTuple):
  """The state of the decoding loop."""

  step: jax.Array  # i32[]
  token: jax.Array  # i32[B], the last generated token
  done: jax.Array  # bool[B]
  key: tuple[jax.Array, ...]  # of generated tokens, per layer, [B, KV, N, W]
  value: tuple[jax.Array, ...]
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
  tap: taps.Tap | None = None,
) -> Generated:
  """Continues prompts greedily until the end token or `new_tokens` tokens.

  The loop ends as soon as every row has ended, and on one CPU device those rows
  that have not ended when half of them have go on without the others. A row
  of length 0 is padding of the batch: it ends before it begins.

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
  if embeddings_BxTxD is None:
    embeddings_BxTxD = decoder.embed(model, tokens_BxT)
  prompts, x = _prefill(model, tokens_BxT, length_B, embeddings_BxTxD, tap)
  token, log_probability = _choose(model, x)
  batch, config, empty = len(length_B), model.config, length_B == 0
  heads = (batch, config.kv_heads, new_tokens, config.head_width)
  room = (_constrain_heads(jnp.zeros(heads, x.dtype)),) * config.layers
  state = _Loop(
    step=jnp.zeros((), jnp.int32),
    token=token,
    done=empty,
    # A tuple of caches, updated in place: as scan inputs and outputs they
    # would be copied whole at each token.
    key=room,
    value=room,
    tokens=jnp.full((batch, new_tokens), end_id, jnp.int32),
    length=jnp.zeros(batch, jnp.int32),
    log_probability=jnp.where(empty, 0.0, log_probability),
  )
  decode = functools.partial(
    _decode, model, _layers(model), end_id=end_id, new_tokens=new_tokens
  )
  whole = functools.partial(decode, least=0)
  few = batch < _FEWEST_ROWS or new_tokens < _FEWEST_TOKENS
  if few or axis_rules.ways('batch') > 1:
    end = whole(prompts, state)
  else:
    # Elsewhere a token takes as long as reading the weights does, whatever the
    # number of rows; and a second loop takes long to compile.
    end = jax.lax.platform_dependent(
      prompts, state, cpu=functools.partial(_halving, decode), default=whole
    )
  return Generated(end.tokens, end.length, end.log_probability)


def _halving(decode: Callable, prompts: _Prompts, state: _Loop) -> _Loop:
  """Decodes; as soon as half of the rows have ended, the others go on alone."""
  half = -(-len(state.done) // 2)
  state = decode(prompts, state, least=half)

  def go_on(prompts: _Prompts, state: _Loop) -> _Loop:
    rows = jnp.argsort(state.done, stable=True)[:half]

    def take(tree):
      return jax.tree.map(lambda each: each[rows] if each.ndim else each, tree)

    few = decode(take(prompts), take(state), least=0)
    return state._replace(
      tokens=state.tokens.at[rows].set(few.tokens),
      length=state.length.at[rows].set(few.length),
      log_probability=state.log_probability.at[rows].set(few.log_probability),
    )

  # What is left to do may be nothing, and taking half of the rows is not.
  over = jnp.all(state.done) | (state.step == state.tokens.shape[1])
  return jax.lax.cond(over, lambda _, state: state, go_on, prompts, state)


def _prefill(
  model: decoder.Decoder,
  tokens_BxT: jax.Array,
  length_B: jax.Array,
  x_BxTxD: jax.Array,
  tap: taps.Tap | None,
) -> tuple[_Prompts, jax.Array]:
  """Runs prompts, and returns the stream at their last positions, [B, D], too.

  Of the last layer no more is run than keys and values and the last position,
  where no tap looks at the others.
  """
  config, (batch, length) = model.config, tokens_BxT.shape
  place = jnp.arange(length, dtype=jnp.int32)[None]
  turn = attention.rotation(config, place)
  seen = attention.visible(None, batch, length)
  windows = attention.window_sizes(config)
  end = jnp.maximum(length_B - 1, 0)[:, None]

  def block(x, state, index, only):
    visit = taps.Visits(tap, state, jnp.asarray(index, jnp.int32))
    here, query_place, kept = seen, place, []
    if only is not None:
      here, query_place = decoder.at_positions(seen, only), only
    window = None if windows is None else windows[index]

    def attend(query, key, value):
      # Heads come before positions, as products with one query want them:
      # turned once here, and not at each token.
      kept.extend(
        _constrain_heads(jnp.swapaxes(each, 1, 2)) for each in (key, value)
      )
      near = attention.within(window, here, query_place, place)
      return attention.attend_causal(config, query, key, value, near)

    layer = decoder.one_of(model.layers, index)
    x = decoder.block(config, layer, x, turn, attend, visit, only_BxQ=only)
    return x, visit.state, kept

  def step(index, carry):
    x, state, stacks = carry
    x, state, kept = block(x, state, index, None)
    stacks = tuple(
      jax.lax.dynamic_update_index_in_dim(stack, each, index, 0)
      for stack, each in zip(stacks, kept, strict=True)
    )
    return x, state, stacks

  state = None if tap is None else tap.start(tokens_BxT)
  last = config.layers - 1
  x, stacks = x_BxTxD, ((), ())
  if last:  # Else there is nothing to stack.
    heads = (last, batch, config.kv_heads, length, config.head_width)
    empty = axis_rules.constrain(jnp.zeros(heads, x.dtype), None, *_HEADS_FIRST)
    carry = (x, state, (empty, empty))
    x, state, stacks = jax.lax.fori_loop(0, last, step, carry)
  x, _, kept = block(x, state, last, end if tap is None else None)
  if tap is not None:
    x = decoder.at_positions(x, end)
  key, value = (
    (*(stack[i] for i in range(last)), each)
    for stack, each in zip(stacks, kept, strict=True)
  )
  return _Prompts(length_B, key, value), x[:, 0]


def _layers(model: decoder.Decoder) -> Callable[[int], decoder.Layers]:
  """Returns what gives one layer's parameters within the loop.

  They are taken from the stack once, before it, if the copy is small: on CPU
  they would be copied at each token.
  """
  layers = jax.tree.leaves(model.layers)
  if sum(each.size * each.dtype.itemsize for each in layers) > _COPIED:
    return functools.partial(decoder.one_of, model.layers)
  taken = [decoder.one_of(model.layers, i) for i in range(model.config.layers)]
  return taken.__getitem__


def _decode(
  model: decoder.Decoder,
  layer: Callable[[int], decoder.Layers],
  prompts: _Prompts,
  state: _Loop,
  *,
  end_id: int | jax.Array,
  new_tokens: int,
  least: int,
) -> _Loop:
  """Generates until no more than `least` rows have not ended."""

  def unfinished(s: _Loop) -> jax.Array:
    left = jnp.sum(~s.done) > least if least else ~jnp.all(s.done)
    return (s.step < new_tokens) & left

  step = functools.partial(_decode_step, model, layer, prompts, end_id)
  return jax.lax.while_loop(unfinished, step, state)


def _constrain_heads(x_BxKVxTxW: jax.Array) -> jax.Array:
  return axis_rules.constrain(x_BxKVxTxW, *_HEADS_FIRST)


def _choose(
  model: decoder.Decoder, x_BxD: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The most likely token after a residual stream, and its log probability."""
  hidden = decoder.rms_norm(model.config, x_BxD, model.final_norm[...])
  logits = decoder.unembed(model, hidden)
  made = choice.choose(logits)
  return made.token, made.logit - jax.nn.logsumexp(logits, -1)


def _decode_step(
  model: decoder.Decoder,
  layer: Callable[[int], decoder.Layers],
  prompts: _Prompts,
  end_id: int | jax.Array,
  s: _Loop,
) -> _Loop:
  """Records the chosen token of every row and computes the next one."""
  config, (rows, new_tokens) = model.config, s.tokens.shape
  tokens = s.tokens.at[:, s.step].set(jnp.where(s.done, end_id, s.token))
  done = s.done | (s.token == end_id)
  length = s.length + (~done)

  position = (prompts.length + s.step)[:, None]
  turn = attention.rotation(config, position)
  slots = jnp.arange(prompts.key[0].shape[2], dtype=jnp.int32)
  new_slots = jnp.arange(new_tokens, dtype=jnp.int32)
  # Prompts end at different places, but what is generated after them is kept
  # apart, where all rows write in one place.
  place = jnp.concatenate(
    [
      jnp.broadcast_to(slots[None], (rows, len(slots))),
      prompts.length[:, None] + new_slots[None],
    ],
    1,
  )
  seen = jnp.concatenate(
    [
      slots[None] < prompts.length[:, None],
      jnp.broadcast_to((new_slots <= s.step)[None], (rows, new_tokens)),
    ],
    1,
  )[:, None]
  x = decoder.embed(model, s.token[:, None])
  keys: list[jax.Array] = []
  values: list[jax.Array] = []
  for index in range(config.layers):
    window = config.windows[index] if config.windows else 0
    near = attention.within(window or None, seen, position, place)

    def attend(query, key, value, i=index, near=near):
      for kept, old, new in ((keys, s.key, key), (values, s.value, value)):
        new = jnp.swapaxes(new, 1, 2).astype(old[i].dtype)
        made = jax.lax.dynamic_update_slice_in_dim(old[i], new, s.step, 2)
        kept.append(made)
      return attention.attend_parts(
        config,
        query,
        (prompts.key[i], keys[i]),
        (prompts.value[i], values[i]),
        near,
      )

    x = decoder.block(config, layer(index), x, turn, attend, taps.untapped)
  token, log_probability = _choose(model, x[:, 0])
  more = ~done & (s.step + 1 < new_tokens)
  return _Loop(
    step=s.step + 1,
    token=token,
    done=done,
    key=tuple(keys),
    value=tuple(values),
    tokens=tokens,
    length=length,
    log_probability=s.log_probability + jnp.where(more, log_probability, 0.0),
  )
