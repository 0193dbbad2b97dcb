# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A decoder of Llama, Qwen3 or Gemma 2: stacked layers under one scan.

The module holds parameters only; plain functions run it. Every tensor that can
be read or written passes through a *tap* (see `Tap`), so that captures and
interventions are arguments of the forward pass and nothing is ever registered,
mutated or left behind.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, Protocol

from flax import nnx
import jax
from jax.ad_checkpoint import checkpoint_name
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import attention
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import fused_attention
from selfexplain_jax.models import logits as logits_lib
from selfexplain_jax.models import taps

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'silu': jax.nn.silu,
  'gelu_tanh': functools.partial(jax.nn.gelu, approximate=True),
}

# What the backward pass finds kept of a block, if it does not compute it again.
_PRODUCT = 'product'


class Adapter(Protocol):
  """What is added to the products with a block's matrices; a stacked pytree."""

  def added(self, name: str, x: jax.Array) -> jax.Array:
    """Returns what is added to the product of x, [..., in], with a matrix."""


class Layers(nnx.Module):
  """The parameters of all blocks, stacked on a leading axis."""

  def __init__(self, config: config_lib.DecoderConfig, key: jax.Array):
    c, keys = config, iter(jax.random.split(key, 7))
    dtype = jnp.dtype(c.parameter_dtype)

    def matrix(rows: int, columns: int, *axes: str) -> nnx.Param:
      shape = (c.layers, rows, columns)
      value = jax.random.normal(next(keys), shape, jnp.float32) * rows**-0.5
      return nnx.Param(value.astype(dtype), axes=('layers', *axes))

    def norm(columns: int) -> nnx.Param:
      value = jnp.full((c.layers, columns), _unit(c), dtype)
      return nnx.Param(value, axes=('layers', 'norm'))

    self.attention_norm = norm(c.width)
    self.query = matrix(c.width, c.heads * c.head_width, 'width', 'heads')
    self.key = matrix(c.width, c.kv_heads * c.head_width, 'width', 'kv_heads')
    self.value = matrix(c.width, c.kv_heads * c.head_width, 'width', 'kv_heads')
    self.output = matrix(c.heads * c.head_width, c.width, 'heads', 'width')
    self.query_norm = norm(c.head_width) if c.query_key_norm else None
    self.key_norm = norm(c.head_width) if c.query_key_norm else None
    self.attention_post_norm = norm(c.width) if c.post_norms else None
    self.mlp_norm = norm(c.width)
    self.gate = matrix(c.width, c.mlp_width, 'width', 'mlp')
    self.up = matrix(c.width, c.mlp_width, 'width', 'mlp')
    self.down = matrix(c.mlp_width, c.width, 'mlp', 'width')
    self.mlp_post_norm = norm(c.width) if c.post_norms else None


class Decoder(nnx.Module):
  """The parameters of a decoder; `forward` runs it."""

  def __init__(self, config: config_lib.DecoderConfig, key: jax.Array):
    embedding_key, unembedding_key, layers_key = jax.random.split(key, 3)
    dtype = jnp.dtype(config.parameter_dtype)
    shape = (config.vocabulary, config.width)
    self.config = config
    self.embedding = nnx.Param(
      (jax.random.normal(embedding_key, shape) * 0.02).astype(dtype),
      axes=('vocabulary', 'width'),
    )
    self.layers = Layers(config, layers_key)
    self.final_norm = nnx.Param(
      jnp.full(config.width, _unit(config), dtype), axes=('norm',)
    )
    if config.tied:
      self.unembedding = None
    else:
      value = jax.random.normal(unembedding_key, shape) * 0.02
      self.unembedding = nnx.Param(
        value.astype(dtype), axes=('vocabulary', 'width')
      )


def abstract(config: config_lib.DecoderConfig) -> Decoder:
  """Returns the decoder with shapes and dtypes in place of its parameters."""
  make = functools.partial(Decoder, config)
  return jax.eval_shape(make, jax.random.key(0))


def with_config(model: Decoder, **fields: Any) -> Decoder:
  """Returns the model with fields of its configuration changed."""
  changed = jax.tree.map(lambda x: x, model)
  changed.config = dataclasses.replace(model.config, **fields)
  return changed


def initialize(
  config: config_lib.DecoderConfig, key: jax.Array, mesh: jax.sharding.Mesh
) -> Decoder:
  """Returns a randomly initialised decoder, sharded from its birth."""
  make = functools.partial(Decoder, config)
  out = axis_rules.shardings(jax.eval_shape(make, key), mesh)
  return jax.jit(make, out_shardings=out)(key)


def _unit(config: config_lib.DecoderConfig) -> float:
  """The weight of a norm whose gain is 1."""
  return 0.0 if config.norm_offset else 1.0


def rms_norm(
  config: config_lib.DecoderConfig, x: jax.Array, weight: jax.Array
) -> jax.Array:
  """Root-mean-square norm over the last axis, computed in float32.

  With `norm_offset` the gain is 1 plus the weight, and it is multiplied before
  the result is rounded to the dtype of `x`; without, after: as in the models
  that were trained so.
  """
  x32 = x.astype(jnp.float32)
  mean = jnp.mean(x32 * x32, -1, keepdims=True)
  normed = x32 * jax.lax.rsqrt(mean + config.norm_epsilon)
  weight = weight.reshape((1,) * (x.ndim - 1) + (-1,))
  if config.norm_offset:
    return (normed * (1.0 + weight.astype(jnp.float32))).astype(x.dtype)
  return normed.astype(x.dtype) * weight.astype(x.dtype)


def linear(x: jax.Array, weight: nnx.Param) -> jax.Array:
  """Multiplies the last axis of x, [..., in], with a matrix [in, out].

  The leading axes are merged first: on CPU a weight gradient that contracts two
  axes is much slower than one that contracts a single one.
  """
  flat = x.reshape(-1, x.shape[-1]) @ weight[...].astype(x.dtype)
  return flat.reshape(*x.shape[:-1], -1)


def at_positions(x: jax.Array, positions_BxQ: jax.Array) -> jax.Array:
  """Takes positions of x, [B or 1, T, ...]; returns [B, Q, ...]."""
  take = jax.vmap(lambda row, at: jnp.take(row, at, 0, mode='clip'))
  return take(
    jnp.broadcast_to(x, (len(positions_BxQ), *x.shape[1:])), positions_BxQ
  )


def block(
  config: config_lib.DecoderConfig,
  layer: Layers,
  x_BxTxD: jax.Array,
  turn: tuple[jax.Array, jax.Array],
  attend: Any,
  visit: Any,
  adapter: Adapter | None = None,
  only_BxQ: jax.Array | None = None,
) -> jax.Array:
  """One block.

  Args:
    config: the decoder's configuration.
    layer: the parameters of this one block, without the leading layer axis.
    x_BxTxD: the residual stream before it.
    turn: cosine and sine of `rotation`.
    attend: maps (query, key, value), each [B, T, heads, W] and rotated, to the
      heads' outputs [B, T, H * W]; it owns the mask and any cache.
    visit: maps (site name, value) to the value to go on with.
    adapter: of this one block, without the leading layer axis.
    only_BxQ: i32, the positions of each row that are wanted after the block:
      the others get no more than a key and a value. None for all.

  Returns:
    The residual stream after the block, [B, T, D], or [B, Q, D].
  """
  norm = functools.partial(rms_norm, config)

  def wanted(x: jax.Array) -> jax.Array:
    return x if only_BxQ is None else at_positions(x, only_BxQ)

  def product(x: jax.Array, name: str) -> jax.Array:
    made = linear(x, getattr(layer, name))
    if adapter is not None:
      made = made + adapter.added(name, x)
    return checkpoint_name(made, _PRODUCT)

  def by_head(x: jax.Array, name: str) -> jax.Array:
    return product(x, name).reshape(*x.shape[:2], -1, config.head_width)

  x = visit('resid_pre', x_BxTxD)
  h = norm(x, layer.attention_norm[...])
  query = by_head(wanted(h), 'query')
  key, value = by_head(h, 'key'), by_head(h, 'value')
  if layer.query_norm is not None and layer.key_norm is not None:
    query = norm(query, layer.query_norm[...])
    key = norm(key, layer.key_norm[...])
  kv_axes = ('batch', 'sequence', 'activation_kv_heads', None)
  query = axis_rules.constrain(
    attention.rotate(query, jax.tree.map(wanted, turn)),
    *('batch', 'sequence', 'activation_heads', None),
  )
  key = axis_rules.constrain(attention.rotate(key, turn), *kv_axes)
  value = axis_rules.constrain(value, *kv_axes)
  added = product(attend(query, key, value), 'output')
  if layer.attention_post_norm is not None:
    added = norm(added, layer.attention_post_norm[...])
  x = visit('resid_mid', wanted(x) + visit('attn_out', added))

  h = norm(x, layer.mlp_norm[...])
  h = _ACTIVATIONS[config.activation](product(h, 'gate')) * product(h, 'up')
  h = axis_rules.constrain(h, 'batch', 'sequence', 'activation_mlp')
  added = product(h, 'down')
  if layer.mlp_post_norm is not None:
    added = norm(added, layer.mlp_post_norm[...])
  x = visit('resid_post', x + visit('mlp_out', added))
  return axis_rules.constrain(x, 'batch', 'sequence', 'activation_width')


def embedding_scale(config: config_lib.DecoderConfig) -> float:
  """What rows of the embedding are multiplied with as they enter the stream.

  Rounded to the dtype of activations, as the models were trained.
  """
  if not config.embedding_scaled:
    return 1.0
  return float(np.asarray(config.width**0.5, jnp.dtype(config.dtype)))


def embed(model: Decoder, tokens_BxT: jax.Array) -> jax.Array:
  """Token embeddings, scaled, in the activation dtype, [B, T, D]."""
  table = model.embedding[...].astype(jnp.dtype(model.config.dtype))
  # Each device looks up the part of the width that it has, and the parts of a
  # row are brought together after: less is sent than of the table.
  looked_up = ('looked_up', 'sequence')
  rows = table[axis_rules.constrain(tokens_BxT, *looked_up)]
  rows = axis_rules.constrain(rows, *looked_up, 'width')
  if model.config.embedding_scaled:
    rows = rows * embedding_scale(model.config)
  return axis_rules.constrain(rows, 'batch', 'sequence', 'activation_width')


def unembed(model: Decoder, hidden: jax.Array) -> jax.Array:
  """Logits f32[..., V] of hidden states [..., D] taken after the final norm."""
  table = model.embedding if model.unembedding is None else model.unembedding
  logits = logits_lib.logits(
    hidden.reshape(-1, hidden.shape[-1]), table[...].astype(hidden.dtype)
  )
  logits = attention.soft_cap(logits, model.config.logit_cap)
  return logits.reshape(*hidden.shape[:-1], -1)


def forward(
  model: Decoder,
  tokens_BxT: jax.Array,
  *,
  positions_BxT: jax.Array | None = None,
  segments_BxT: jax.Array | None = None,
  embeddings_BxTxD: jax.Array | None = None,
  tap: taps.Tap | None = None,
  adapter: Adapter | None = None,
  layers: jax.Array | None = None,
  end: taps.End | None = None,
) -> tuple[jax.Array, Any]:
  """Runs the decoder over whole sequences, padded on the right.

  Args:
    model: the decoder.
    tokens_BxT: i32 token ids.
    positions_BxT: i32 rotary positions; 0, 1, 2, … in every row if None.
    segments_BxT: i32 segment ids of packed rows; positions attend within their
      own segment alone. One segment a row if None.
    embeddings_BxTxD: taken in place of the token embeddings, such as those of
      an explainer with vectors injected.
    tap: reads and writes at every site.
    adapter: of the layers, one at a time; without it they are the model's.
    layers: i32[], how many of the layers are run, from the first one on; has no
      gradients. All, and with them, if None.
    end: what is wanted of the last of `layers`, of which there has to be one;
      every position if None.

  Returns:
    The hidden states after the final norm, [B, T, D] or [B, Q, D], to be given
    to `unembed` at the positions that are wanted, and the tap's last state
    (None without).
  """
  batch, length = tokens_BxT.shape
  if positions_BxT is None:
    positions_BxT = jnp.broadcast_to(
      jnp.arange(length, dtype=jnp.int32)[None], (batch, length)
    )
  x = embed(model, tokens_BxT) if embeddings_BxTxD is None else embeddings_BxTxD
  state = None if tap is None else tap.start(tokens_BxT)
  turn = attention.rotation(model.config, positions_BxT)
  seen = attention.visible(segments_BxT, batch, length)
  zero = jnp.zeros((), jnp.int32)
  if tap is not None:
    state, x = tap.visit(state, 'embed', zero, x)
  one = functools.partial(
    _scan_step, model.config, turn, seen, segments_BxT, tap
  )
  step = _rematerialised(one, model.config.remat)
  indices = jnp.arange(model.config.layers, dtype=jnp.int32)
  windows = attention.window_sizes(model.config)
  stacked = (model.layers, adapter, indices, windows)
  if layers is None:
    (x, state), _ = jax.lax.scan(step, (x, state), stacked)
  else:
    whole = layers if end is None else layers - 1
    x, state = jax.lax.fori_loop(
      0, whole, lambda i, carry: step(carry, one_of(stacked, i))[0], (x, state)
    )
    if end is not None:
      (x, state), _ = one((x, state), one_of(stacked, whole), end=end)
      tap = end.tap
  x = rms_norm(model.config, x, model.final_norm[...])
  if tap is not None:
    state, x = tap.visit(state, 'final_norm', zero, x)
  return x, state


def one_of(stacked: Any, index: Any) -> Any:
  """Takes what is of one layer, whose number need not be known."""
  return jax.tree.map(
    lambda each: jax.lax.dynamic_index_in_dim(each, index, keepdims=False),
    stacked,
  )


def _rematerialised(step: Callable, remat: str) -> Callable:
  """Makes the backward pass compute again what is not kept of a block.

  On CPU computing all of it again takes less time than the scan's stacking of
  what would otherwise be kept.
  """
  if remat == 'none':
    return step
  policy = None
  if remat == 'products':
    # With what an adapter adds, so that neither is kept on its own.
    policy = jax.checkpoint_policies.save_only_these_names(_PRODUCT)
  return jax.checkpoint(step, prevent_cse=False, policy=policy)


def _scan_step(config, turn, seen, segments, tap, carry, inputs, end=None):
  """One step of the scan over layers: runs a block, threading the tap."""
  x, state = carry
  layer, adapter, index, window = inputs
  visit = taps.Visits(tap, state, index, end)
  place = jnp.arange(x.shape[1], dtype=jnp.int32)[None]
  only, query_place = None, place
  if end is not None:
    only = query_place = end.positions
    seen = at_positions(seen, only)
  near = attention.within(window, seen, query_place, place)

  def attend(query, key, value):
    if only is None and fused_attention.applies(config, query.shape[1]):
      return fused_attention.attend(config, query, key, value, segments)
    return attention.attend_causal(config, query, key, value, near)

  x = block(config, layer, x, turn, attend, visit, adapter, only)
  return (x, visit.state), None
