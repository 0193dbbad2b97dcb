# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Attention: rotary positions, who sees whom, and the mixing itself."""

import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import config as config_lib

# Queries that are mixed at once with the keys up to the last of them, about.
_BLOCK = 128

_MASKED = -1e30  # Finite, so that a row without any visible key gives no NaN.


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


def attend(
  config: config_lib.DecoderConfig,
  query_BxTxHxW: jax.Array,
  key_BxSxNxW: jax.Array,
  value_BxSxNxW: jax.Array,
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """Grouped-query attention with scores and softmax in float32.

  Query head h reads key and value head h // (H / N). Sums of values are divided
  by those of weights last, as there are fewer of them than of weights.

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
  # Heads first, as products by head want them: left to the products, the turns
  # take longer on CPU.
  query, key, value = (
    jnp.swapaxes(x, 1, 2) for x in (query_BxTxHxW, key_BxSxNxW, value_BxSxNxW)
  )
  grouped = query.reshape(batch, kv_heads, heads // kv_heads, length, width)
  scores = _scores(
    config,
    jnp.einsum(
      'bngtw,bnsw->bngts', grouped, key, preferred_element_type=jnp.float32
    ),
    visible_BxTxS,
  )
  most = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
  weights = jnp.exp(scores - most)
  mixed = jnp.einsum('bngts,bnsw->bngtw', weights.astype(value.dtype), value)
  mixed = mixed.astype(jnp.float32) / weights.sum(-1, keepdims=True)
  mixed = jnp.moveaxis(mixed.astype(value.dtype), 3, 1)
  return mixed.reshape(batch, length, heads * width)


def attend_causal(
  config: config_lib.DecoderConfig,
  query_BxTxHxW: jax.Array,
  key_BxSxNxW: jax.Array,
  value_BxSxNxW: jax.Array,
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """As `attend`, within one sequence: no query sees a key that comes after it.

  Where every position asks, blocks of queries are mixed with the keys up to
  them alone; a few positions are mixed with all.
  """
  length = query_BxTxHxW.shape[1]
  if length != key_BxSxNxW.shape[1]:
    return attend(
      config, query_BxTxHxW, key_BxSxNxW, value_BxSxNxW, visible_BxTxS
    )
  ends = np.linspace(0, length, max(1, round(length / _BLOCK)) + 1).astype(int)
  mixed = [
    attend(
      config,
      query_BxTxHxW[:, start:end],
      key_BxSxNxW[:, :end],
      value_BxSxNxW[:, :end],
      visible_BxTxS[:, start:end, :end],
    )
    for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
  ]
  return jnp.concatenate(mixed, 1)


def attend_parts(
  config: config_lib.DecoderConfig,
  query_BxTxHxW: jax.Array,
  keys: tuple[jax.Array, ...],
  values: tuple[jax.Array, ...],
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """As `attend`, over keys and values in several parts, heads first.

  Args:
    config: the decoder's configuration.
    query_BxTxHxW: rotated queries, few of them.
    keys: rotated, [B, N, P, W] each, P positions.
    values: as the keys.
    visible_BxTxS: which query sees which key, of all parts one after the other.
  """
  batch, length, heads, width = query_BxTxHxW.shape
  kv_heads = keys[0].shape[1]
  grouped = query_BxTxHxW.reshape(
    batch, length, kv_heads, heads // kv_heads, width
  )
  scores = [
    jnp.einsum(
      'btngw,bnsw->bngts', grouped, key, preferred_element_type=jnp.float32
    )
    for key in keys
  ]
  weights = _weights(config, jnp.concatenate(scores, -1), visible_BxTxS)
  ends = np.cumsum([key.shape[2] for key in keys])[:-1]
  mixed = sum(
    # XLA has no such product on CPU that would give float32.
    jnp.einsum('bngts,bnsw->btngw', part.astype(value.dtype), value).astype(
      jnp.float32
    )
    for part, value in zip(jnp.split(weights, ends, -1), values, strict=True)
  )
  mixed = jnp.asarray(mixed, values[0].dtype)
  return mixed.reshape(batch, length, heads * width)


def _weights(
  config: config_lib.DecoderConfig,
  scores_BxNxGxTxS: jax.Array,
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """Softmax of products of queries and keys, over those that are seen."""
  return jax.nn.softmax(_scores(config, scores_BxNxGxTxS, visible_BxTxS), -1)


def _scores(
  config: config_lib.DecoderConfig,
  products_BxNxGxTxS: jax.Array,
  visible_BxTxS: jax.Array,
) -> jax.Array:
  """Products of queries and keys, scaled, capped and masked."""
  scale = (config.query_scale or config.head_width) ** -0.5
  scores = soft_cap(products_BxNxGxTxS * scale, config.score_cap)
  return jnp.where(visible_BxTxS[:, None, None], scores, _MASKED)


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
