# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Shapes of models that others published, for work without their weights.

As their `config.json` on the hub has them; who has the files needs none of it.
"""

from typing import Any

from selfexplain_jax import errors
from selfexplain_jax.models import config as config_lib

_LLAMA_3_1: dict[str, Any] = dict(
  vocabulary=128_256,
  kv_heads=8,
  head_width=128,
  rope_theta=500_000.0,
  rope_scaling=config_lib.RopeScaling(8.0, 1.0, 4.0, 8192),
  norm_epsilon=1e-5,
  tied=False,
  max_positions=131_072,
  dtype='bfloat16',
  parameter_dtype='bfloat16',
)

SHAPES = {
  'llama3_1_8b': config_lib.DecoderConfig(
    **_LLAMA_3_1, width=4096, layers=32, heads=32, mlp_width=14_336
  ),
  'llama3_1_70b': config_lib.DecoderConfig(
    **_LLAMA_3_1, width=8192, layers=80, heads=64, mlp_width=28_672
  ),
  'qwen3_8b': config_lib.DecoderConfig(
    vocabulary=151_936,
    width=4096,
    layers=36,
    heads=32,
    kv_heads=8,
    head_width=128,
    mlp_width=12_288,
    rope_theta=1_000_000.0,
    norm_epsilon=1e-6,
    query_key_norm=True,
    tied=False,
    max_positions=40_960,
    dtype='bfloat16',
    parameter_dtype='bfloat16',
  ),
}


def shape(name: str) -> config_lib.DecoderConfig:
  """Returns the shape of a published model, in bfloat16.

  Raises:
    errors.InputError: if it is not known.
  """
  if name not in SHAPES:
    raise errors.InputError(
      f'no model {name!r} is known: expected {", ".join(SHAPES)}'
    )
  return SHAPES[name]
