# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A decoder of Llama, Qwen3 or Gemma 2: stacked layers under one scan.

The module holds parameters only; plain functions run it. Every tensor that can
be read or written passes through a *tap* (see `Tap`), so that captures and
interventions are arguments of the forward pass and nothing is ever registered,
mutated or left behind.
"""

from collections.abc import Callable
import functools
from typing import Any, Protocol

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import config as config_lib

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  'silu': jax.nn.silu,
  'gelu_tanh': functools.partial(jax.nn.gelu, approximate=True),
}

_MASKED = -1e30  # Finite, so that a row without any visible key gives no NaN.


class Tap(Protocol):
  """What is done at each site of a forward pass.

  A tap is a pytree. Its state is carried through the scan over layers, so its
  shapes must not depend on the layer.
  """

  def start(self, tokens_BxT: jax.Array) -> Any:
    """Returns the state before the first site."""

  def visit(
    self, state: Any, site: str, layer: jax.Array, value_BxTxD: jax.Array
  ) -> tuple[Any, jax.Array]:
    """Returns the new state and the value that the forward pass goes on with.

    `site` is known when the program is traced; `layer` (i32[]) is not.
    """


class Visits:
  """The visits of a tap, if any, to the sites of one block.

  Attributes:
    state: the tap's, after the last visit.
  """

  def __init__(self, tap: Tap | None, state: Any, layer: jax.Array):
    self._tap, self.state, self._layer = tap, state, layer

  def __call__(self, site: str, value_BxTxD: jax.Array) -> jax.Array:
    if self._tap is None:
      return value_BxTxD
    self.state, value = self._tap.visit(
      self.state, site, self._layer, value_BxTxD
    )
    return value


class Adapter(Protocol):
  """What changes a block's parameters before it runs; a stacked pytree."""

  def apply(self, layers: 'Layers') -> 'Layers':
    """Returns the changed parameters of one block."""


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


def soft_cap(x: jax.Array, cap: float | None) -> jax.Array:
  """Bends values smoothly into -cap to cap; leaves them where it is None."""
  return x if cap is None else cap * jnp.tanh(x / cap)


def rope_frequencies(config: config_lib.DecoderConfig) -> jax.Array:
  """Rotary frequencies in radians per position, f32[head_width / 2]."""
  # On the host in float64: a relative error of float32's grows with position.
  half = config.head_width // 2
  frequency = config.rope_theta ** -(np.arange(half) / half)
  scaling = config.rope_scaling
  if scaling is None:
    return jnp.asarray(frequency, jnp.float32)
  turns = scaling.original_positions * frequency / (2 * np.pi)
  low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
  kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
  frequency = frequency * (kept + (1.0 - kept) / scaling.factor)
  return jnp.asarray(frequency, jnp.float32)


def rotation(
  config: config_lib.DecoderConfig, positions_BxT: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Cosine and sine of the rotary angles, each f32[B, T, 1, head_width / 2]."""
  frequency = rope_frequencies(config)[None, None, :]
  angle = positions_BxT[..., None].astype(jnp.float32) * frequency
  return jnp.cos(angle)[:, :, None, :], jnp.sin(angle)[:, :, None, :]


def rotate(
  x_BxTxHxW: jax.Array, turn: tuple[jax.Array, jax.Array]
) -> jax.Array:
  """Applies the rotary embedding, pairing channel i with i + head_width / 2."""
  cosine, sine = turn
  low, high = jnp.split(x_BxTxHxW.astype(jnp.float32), 2, -1)
  turned = [low * cosine - high * sine, high * cosine + low * sine]
  return jnp.concatenate(turned, -1).astype(x_BxTxHxW.dtype)


def attention(
  config: config_lib.DecoderConfig,
  query_BxTxHxW: jax.Array,
  key_BxSxNxW: jax.Array,
  value_BxSxNxW: jax.Array,
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """Grouped-query attention with scores and softmax in float32.

  Query head h reads key and value head h // (H / N).

  Args:
    config: the decoder's configuration.
    query_BxTxHxW: rotated queries.
    key_BxSxNxW: rotated keys.
    value_BxSxNxW: values.
    visible_BxTxS: which query sees which key.

  Returns:
    The heads' outputs side by side, [B, T, H * W].
  """
  batch, length, heads, width = query_BxTxHxW.shape
  kv_heads = key_BxSxNxW.shape[2]
  grouped = query_BxTxHxW.reshape(
    batch, length, kv_heads, heads // kv_heads, width
  )
  scores = jnp.einsum(
    'btngw,bsnw->bngts',
    grouped,
    key_BxSxNxW,
    preferred_element_type=jnp.float32,
  )
  scores = scores * (config.query_scale or width) ** -0.5
  scores = soft_cap(scores, config.score_cap)
  scores = jnp.where(visible_BxTxS[:, None, None], scores, _MASKED)
  weights = jax.nn.softmax(scores, -1).astype(value_BxSxNxW.dtype)
  mixed = jnp.einsum('bngts,bsnw->btngw', weights, value_BxSxNxW)
  return mixed.reshape(batch, length, heads * width)


def linear(x: jax.Array, weight: nnx.Param) -> jax.Array:
  """Multiplies the last axis of x, [..., in], with a matrix [in, out].

  The leading axes are merged first: on CPU a weight gradient that contracts two
  axes is much slower than one that contracts a single one.
  """
  flat = x.reshape(-1, x.shape[-1]) @ weight[...].astype(x.dtype)
  return flat.reshape(*x.shape[:-1], -1)


def block(
  config: config_lib.DecoderConfig,
  layer: Layers,
  x_BxTxD: jax.Array,
  turn: tuple[jax.Array, jax.Array],
  attend: Any,
  visit: Any,
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

  Returns:
    The residual stream after the block.
  """
  norm = functools.partial(rms_norm, config)
  x = visit('resid_pre', x_BxTxD)
  batch, length, _ = x.shape

  h = norm(x, layer.attention_norm[...])
  heads = (batch, length, -1, config.head_width)
  query = linear(h, layer.query).reshape(heads)
  key = linear(h, layer.key).reshape(heads)
  value = linear(h, layer.value).reshape(heads)
  if layer.query_norm is not None and layer.key_norm is not None:
    query = norm(query, layer.query_norm[...])
    key = norm(key, layer.key_norm[...])
  kv_axes = ('batch', 'sequence', 'activation_kv_heads', None)
  query = axis_rules.constrain(
    rotate(query, turn), 'batch', 'sequence', 'activation_heads', None
  )
  key = axis_rules.constrain(rotate(key, turn), *kv_axes)
  value = axis_rules.constrain(value, *kv_axes)
  added = linear(attend(query, key, value), layer.output)
  if layer.attention_post_norm is not None:
    added = norm(added, layer.attention_post_norm[...])
  x = visit('resid_mid', x + visit('attn_out', added))

  h = norm(x, layer.mlp_norm[...])
  h = _ACTIVATIONS[config.activation](linear(h, layer.gate)) * linear(
    h, layer.up
  )
  h = axis_rules.constrain(h, 'batch', 'sequence', 'activation_mlp')
  added = linear(h, layer.down)
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
  rows = table[tokens_BxT]
  if model.config.embedding_scaled:
    rows = rows * embedding_scale(model.config)
  return axis_rules.constrain(rows, 'batch', 'sequence', 'activation_width')


def unembed(model: Decoder, hidden: jax.Array) -> jax.Array:
  """Logits f32[..., V] of hidden states [..., D] taken after the final norm."""
  table = model.embedding if model.unembedding is None else model.unembedding
  logits = jnp.einsum(
    'nd,vd->nv',
    hidden.reshape(-1, hidden.shape[-1]),
    table[...].astype(hidden.dtype),
    preferred_element_type=jnp.float32,
  )
  logits = soft_cap(logits, model.config.logit_cap)
  return logits.reshape(*hidden.shape[:-1], -1)


def visible(
  segments_BxT: jax.Array | None, batch: int, length: int
) -> jax.Array:
  """Which position (axis 1) sees which (axis 2): causal, within its segment."""
  causal = jnp.tril(jnp.ones((length, length), bool))[None]
  if segments_BxT is None:
    return jnp.broadcast_to(causal, (batch, length, length))
  return causal & (segments_BxT[:, :, None] == segments_BxT[:, None, :])


def window_sizes(config: config_lib.DecoderConfig) -> jax.Array | None:
  """Windows of the layers for a scan, i32[L]; None where there are none.

  A layer without one has the largest integer, which no distance reaches.
  """
  if not config.windows:
    return None
  sizes = np.asarray(config.windows, np.int32)
  return jnp.where(sizes == 0, np.iinfo(np.int32).max, sizes)


def within(
  window: jax.Array | int | None,
  seen_BxTxS: jax.Array,
  query_BxT: jax.Array,
  key_BxS: jax.Array,
) -> jax.Array:
  """Narrows what is visible to keys that a window reaches back to.

  Args:
    window: how many positions a query sees, its own counted; None for all.
    seen_BxTxS: what is visible without it.
    query_BxT: i32, where the queries stand in the sequence; B may be 1.
    key_BxS: i32, where the keys stand.
  """
  if window is None:
    return seen_BxTxS
  distance = query_BxT[:, :, None] - key_BxS[:, None, :]
  return seen_BxTxS & (distance < window)


def forward(
  model: Decoder,
  tokens_BxT: jax.Array,
  *,
  positions_BxT: jax.Array | None = None,
  segments_BxT: jax.Array | None = None,
  embeddings_BxTxD: jax.Array | None = None,
  tap: Tap | None = None,
  adapter: Adapter | None = None,
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
    adapter: changes the layers, one at a time; without it they are the model's.

  Returns:
    The hidden states after the final norm, [B, T, D], to be given to `unembed`
    at the positions that are wanted, and the tap's last state (None without).
  """
  batch, length = tokens_BxT.shape
  if positions_BxT is None:
    positions_BxT = jnp.broadcast_to(
      jnp.arange(length, dtype=jnp.int32)[None], (batch, length)
    )
  x = embed(model, tokens_BxT) if embeddings_BxTxD is None else embeddings_BxTxD
  state = None if tap is None else tap.start(tokens_BxT)
  turn = rotation(model.config, positions_BxT)
  seen = visible(segments_BxT, batch, length)
  zero = jnp.zeros((), jnp.int32)
  if tap is not None:
    state, x = tap.visit(state, 'embed', zero, x)
  # Recomputing a block in the backward pass costs less than the scan's stacking
  # of what it would otherwise keep: it took less time on CPU in a trial.
  step = jax.checkpoint(
    functools.partial(_scan_step, model.config, turn, seen, tap),
    prevent_cse=False,
  )
  indices = jnp.arange(model.config.layers, dtype=jnp.int32)
  (x, state), _ = jax.lax.scan(
    step,
    (x, state),
    (model.layers, adapter, indices, window_sizes(model.config)),
  )
  x = rms_norm(model.config, x, model.final_norm[...])
  if tap is not None:
    state, x = tap.visit(state, 'final_norm', zero, x)
  return x, state


def _scan_step(config, turn, seen, tap, carry, inputs):
  """One step of the scan over layers: runs a block, threading the tap."""
  x, state = carry
  layer, adapter, index, window = inputs
  if adapter is not None:
    layer = adapter.apply(layer)

  visit = Visits(tap, state, index)
  place = jnp.arange(x.shape[1], dtype=jnp.int32)[None]
  near = within(window, seen, place, place)

  def attend(query, key, value):
    return attention(config, query, key, value, near)

  x = block(config, layer, x, turn, attend, visit)
  return (x, visit.state), None
