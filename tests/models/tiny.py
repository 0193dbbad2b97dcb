# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tiny decoders with random weights, in which every part matters."""

import functools
from typing import Any

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder

SCALING = config_lib.RopeScaling(
  factor=8.0,
  low_frequency_factor=1.0,
  high_frequency_factor=4.0,
  original_positions=128,
)


def gemma2(layers: int) -> dict[str, Any]:
  """Changes that make a Gemma 2 of `config`, with so many layers.

  Its caps bite, and its windows are shorter than the texts of the tests.
  """
  return dict(
    layers=layers,
    norm_offset=True,
    post_norms=True,
    activation='gelu_tanh',
    embedding_scaled=True,
    query_scale=5.0,
    score_cap=3.0,
    logit_cap=4.0,
    windows=tuple(0 if i % 2 else 4 for i in range(layers)),
    tied=True,
  )


def config(**changes: Any) -> config_lib.DecoderConfig:
  """Grouped queries, heads wider than the width divided by their number."""
  fields = dict(
    vocabulary=40,
    width=16,
    layers=3,
    heads=4,
    kv_heads=2,
    head_width=8,
    mlp_width=24,
    tied=False,
  )
  return config_lib.DecoderConfig(**{**fields, **changes})


def model(seed: int = 0, **changes: Any) -> decoder.Decoder:
  """A decoder whose norms have random weights and whose logits differ.

  It is drawn on the host: compiling the initialiser would take longer.
  """
  random, made = np.random.default_rng(seed), config(**changes)

  def draw(path: Any, param: nnx.Variable) -> nnx.Variable:
    shape, name = param.get_value().shape, path[-1].name
    if 'norm' in name:
      value = random.uniform(0.5, 1.5, shape) - made.norm_offset
    elif 'embedding' in name:
      value = random.normal(size=shape)
    else:
      value = random.normal(size=shape) * 1.5 * shape[-2] ** -0.5
    return param.replace(jnp.asarray(value, jnp.float32))

  make = functools.partial(decoder.Decoder, made)
  return jax.tree_util.tree_map_with_path(
    draw,
    jax.eval_shape(make, jax.random.key(0)),
    is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
  )
