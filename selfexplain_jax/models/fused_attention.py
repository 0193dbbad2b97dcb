# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Attention as one kernel, where the platform has one.

`splash` is the kernel for TPUs that comes with JAX; `cudnn` is cuDNN's, for
GPUs. Both take bfloat16 and never write the scores to the main memory. What
they cannot do falls to `attention.attend`, which is also what they are tested
against: float32, short sequences and those that are no multiple of a block,
windows that a sequence is longer than; and for cuDNN a bound on the scores,
wide or uneven heads, odd lengths, and GPUs older than it knows.
"""

import functools

import jax
from jax.experimental.pallas.ops.tpu.splash_attention import (
  splash_attention_kernel as splash,
)
from jax.experimental.pallas.ops.tpu.splash_attention import (
  splash_attention_mask as masks,
)
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import attention
from selfexplain_jax.models import config as config_lib

# A sequence is cut into equal blocks, of this many positions or a few times as
# many, at most. Going to the next block takes a TPU a fixed time, so that
# larger ones are faster than the kernel's default, which is the least; MaxText
# takes 512.
_LEAST, _MOST = 128, 512

# Of queries and of keys, forward and for the gradients of either.
_BLOCKS = (
  *('block_q', 'block_kv', 'block_q_dkv', 'block_kv_dkv'),
  *('block_q_dq', 'block_kv_dq'),
)

# Scores of shorter sequences hardly leave a TPU's fast memory. Compiled for 256
# v5e (`launch.compile_check`), on rows of 512 positions LoRA of an 8B model
# moves 82.2 GB a step without the kernel and 72.9 with it, but full tuning
# gathers one matrix more a layer, and its rate is bounded by 731 tokens per
# second and chip for 744. On an H200, 32 rows of 256 positions of such a layer
# take 0.67 ms without the kernel and 0.19 ms with it; 1.34 and 0.81 ms with the
# gradient.
_SHORTEST = {'splash': 1024, 'cudnn': 256}

_AXES = ('batch', 'sequence', 'activation_heads', None)
_KV_AXES = ('batch', 'sequence', 'activation_kv_heads', None)


def fastest(device: jax.Device, dtype: str) -> str:
  """Returns which attention a model of a dtype runs with on such devices."""
  if dtype != 'bfloat16':  # Effects are compared in float32.
    return 'plain'
  if device.platform == 'gpu':
    # As text, such as '9.0'; other makers' GPUs say none, or a name.
    major = str(getattr(device, 'compute_capability', '')).partition('.')[0]
    return 'cudnn' if major.isdecimal() and int(major) >= 8 else 'plain'
  return 'splash' if device.platform == 'tpu' else 'plain'


def applies(config: config_lib.DecoderConfig, length: int) -> bool:
  """Whether the kernel of a model takes sequences of a length."""
  if config.attention == 'plain' or config.dtype != 'bfloat16':
    return False
  if length < _SHORTEST[config.attention]:
    return False
  if any(0 < window < length for window in config.windows):
    return False
  width = config.head_width
  if config.attention == 'cudnn':
    # Its gradient takes masks of even lengths alone, and all GPUs that have it
    # take heads of 128.
    fits = width % 8 == 0 and width <= 128 and length % 2 == 0
    return fits and config.score_cap is None
  return length % _LEAST == 0 and width % 128 == 0


def _block(length: int) -> int:
  """Returns the positions of a block of a sequence on TPUs."""
  sizes = range(_LEAST, _MOST + 1, _LEAST)
  return max(size for size in sizes if length % size == 0)


def attend(
  config: config_lib.DecoderConfig,
  query_BxTxHxW: jax.Array,
  key_BxTxNxW: jax.Array,
  value_BxTxNxW: jax.Array,
  segments_BxT: jax.Array | None,
  interpret: bool = False,
) -> jax.Array:
  """Causal attention within segments; see `attention.attend`.

  Args:
    config: of a model to which the kernel `applies`.
    query_BxTxHxW: rotated queries.
    key_BxTxNxW: rotated keys.
    value_BxTxNxW: values.
    segments_BxT: i32, of packed rows; None for one segment a row.
    interpret: run a kernel for TPUs on any platform, slowly.

  Returns:
    The heads' outputs side by side, [B, T, H * W].
  """
  batch, length, heads, width = query_BxTxHxW.shape
  if segments_BxT is None:
    segments_BxT = jnp.zeros((batch, length), jnp.int32)
  query, scale = query_BxTxHxW, (config.query_scale or width) ** -0.5
  if config.attention == 'cudnn':
    run = functools.partial(_cudnn, scale)
  else:
    # The kernel does not scale; in float32, since 1 / sqrt(W) is no power of 2.
    query = (query.astype(jnp.float32) * scale).astype(query.dtype)
    run = functools.partial(_splash, config.score_cap, interpret)
  arguments = (query, key_BxTxNxW, value_BxTxNxW, segments_BxT)
  mesh = jax.sharding.get_abstract_mesh()
  if mesh.axis_names:
    axes = (_AXES, _KV_AXES, _KV_AXES, ('batch', 'sequence'))
    # Groups of query heads stay with their key head, or all heads are whole.
    whole = config.kv_heads % axis_rules.ways('activation_kv_heads')
    specs = tuple(
      axis_rules.sharding(
        tuple(None if whole and a and 'heads' in a else a for a in names),
        x.shape,
        mesh,
      ).spec
      for names, x in zip(axes, arguments, strict=True)
    )
    run = jax.shard_map(
      run, in_specs=specs, out_specs=specs[0], check_vma=False
    )
  return run(*arguments).reshape(batch, length, heads * width)


def _cudnn(
  scale: float,
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  segments: jax.Array,
) -> jax.Array:
  """The kernel on the rows and heads of one device, [B, T, H, W]."""
  seen = attention.visible(segments, *query.shape[:2])[:, None]
  return jax.nn.dot_product_attention(
    query, key, value, mask=seen, scale=scale, implementation='cudnn'
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _splash(
  score_cap: float | None,
  interpret: bool,
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  segments: jax.Array,
) -> jax.Array:
  """The kernel on the rows and heads of one device, [B, T, H, W]."""
  return _forward(score_cap, interpret, query, key, value, segments)[0]


def _kernel(score_cap, interpret, segments, query, key, value):
  length, heads = query.shape[1:3]
  causal = masks.CausalMask((length, length))
  size = _block(length)
  kernel = splash.make_splash_mha(
    masks.MultiHeadMask([causal] * heads),
    block_sizes=splash.BlockSizes(**dict.fromkeys(_BLOCKS, size)),
    head_shards=1,
    q_seq_shards=1,
    attn_logits_soft_cap=score_cap,
    interpret=interpret,
  )

  def one(query, key, value, segments):
    ids = splash.SegmentIds(segments, segments)
    return kernel(query, key, value, segment_ids=ids)

  query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
  return jnp.swapaxes(jax.vmap(one)(query, key, value, segments), 1, 2)


def _forward(score_cap, interpret, query, key, value, segments):
  run = functools.partial(_kernel, score_cap, interpret, segments)
  # Products of bfloat16 have no more precise form, and the compiler of kernels
  # refuses the one that is asked for of float32. Both ways: a gradient is
  # traced when it is taken.
  with jax.default_matmul_precision('bfloat16'):
    return jax.vjp(run, query, key, value)


def _backward(score_cap, interpret, gradient_of, cotangent):
  del score_cap, interpret
  with jax.default_matmul_precision('bfloat16'):
    return *gradient_of(cotangent), None


_splash.defvjp(_forward, _backward)
