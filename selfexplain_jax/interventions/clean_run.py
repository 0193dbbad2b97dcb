# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a clean run leaves for runs that part from it later.

A patch at some layer and position leaves everything before that layer, and at
positions before that one, as it was. So a patched run may begin there, with the
residual stream, keys and values of a clean run of the same prompt.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import attention
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import taps

_STREAM = (None, 'batch', 'sequence', 'activation_width')
_HEADS = (None, 'batch', 'sequence', 'activation_kv_heads', None)


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('length', 'stream', 'slot', 'end', 'key', 'value'),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class CleanRun:
  """What is kept of a run of N prompts.

  Attributes:
    length: i32[N], tokens of each.
    stream: [C, N, T, D], the residual stream before C of the layers.
    slot: i32[L], where in `stream` that before each layer is; C for nowhere.
    end: [N, D], after the last layer, at the last position.
    key: [K, N, T, KV, W], of the last K layers, rotated.
    value: the same of values.
  """

  length: jax.Array
  stream: jax.Array
  slot: jax.Array
  end: jax.Array
  key: jax.Array
  value: jax.Array


def kept_bytes(
  config: config_lib.DecoderConfig, length: int, slots: int, layers: int
) -> int:
  """Bytes that are kept of a prompt.

  Args:
    config: of the decoder.
    length: T, to which prompts are padded.
    slots: C, layers before which the stream is kept.
    layers: K, layers of which keys and values are.
  """
  one = slots * config.width + 2 * layers * config.kv_heads * config.head_width
  return jnp.dtype(config.dtype).itemsize * (length * one + config.width)


@functools.partial(jax.jit, static_argnames=('slots', 'layers'))
def run(
  model: decoder.Decoder,
  tokens_NxT: jax.Array,
  length_N: jax.Array,
  slot_L: jax.Array,
  slots: int,
  layers: int,
) -> CleanRun:
  """Runs prompts and keeps what later runs begin with; forms no logits.

  Args:
    model: the decoder.
    tokens_NxT: i32, padded on the right with any id.
    length_N: i32, tokens of each prompt.
    slot_L: i32, see `CleanRun`.
    slots: C.
    layers: K.
  """
  config, (rows, length) = model.config, tokens_NxT.shape
  place = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), (rows, length))
  turn = attention.rotation(config, place)
  seen = attention.visible(None, rows, length)

  def block(x: jax.Array, index: Any, only: jax.Array | None) -> Any:
    """Runs one block, and returns its keys and values too."""
    kept: list[jax.Array] = []
    here, query_place = seen, place
    if only is not None:
      here, query_place = decoder.at_positions(seen, only), only

    def attend(query, key, value):
      kept.extend((key, value))
      near = attention.within(window(config, index), here, query_place, place)
      return attention.attend_causal(config, query, key, value, near)

    made = decoder.block(
      *(
        config,
        decoder.one_of(model.layers, index),
        x,
        turn,
        attend,
        taps.untapped,
      ),
      only_BxQ=only,
    )
    return made, kept

  def keep(run_: CleanRun, index: Any, kept: list[jax.Array]) -> CleanRun:
    late = index - (config.layers - layers)
    where = jnp.where(late < 0, layers, late)  # Past the end: not kept.
    return dataclasses.replace(
      run_,
      key=run_.key.at[where].set(kept[0], mode='drop'),
      value=run_.value.at[where].set(kept[1], mode='drop'),
    )

  def step(index: jax.Array, carry: Any) -> Any:
    x, run_ = carry
    stream = run_.stream.at[slot_L[index]].set(x, mode='drop')
    x, kept = block(x, index, None)
    return x, keep(dataclasses.replace(run_, stream=stream), index, kept)

  heads = (layers, rows, length, config.kv_heads, config.head_width)
  x = decoder.embed(model, tokens_NxT)
  nothing = CleanRun(
    length=length_N,
    stream=_zeros((slots, *x.shape), x.dtype, _STREAM),
    slot=slot_L,
    end=x[:, 0],
    key=_zeros(heads, x.dtype, _HEADS),
    value=_zeros(heads, x.dtype, _HEADS),
  )
  last = config.layers - 1
  x, run_ = jax.lax.fori_loop(0, last, step, (x, nothing))
  stream = run_.stream.at[slot_L[last]].set(x, mode='drop')
  end, kept = block(x, last, length_N[:, None] - 1)
  run_ = dataclasses.replace(run_, stream=stream, end=end[:, 0])
  return keep(run_, last, kept)


def window(config: config_lib.DecoderConfig, index: Any) -> Any:
  """The window of one layer, whose number need not be known; None for none."""
  sizes = attention.window_sizes(config)
  return None if sizes is None else sizes[index]


def _zeros(shape: tuple[int, ...], dtype: Any, axes: Any) -> jax.Array:
  return axis_rules.constrain(jnp.zeros(shape, dtype), *axes)
