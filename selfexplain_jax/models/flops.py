# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Operations that a decoder takes, by formula.

A product of matrices takes 2 operations for each weight and token. Norms,
softmax and other work by element are left out, as everybody does.
"""

from selfexplain_jax.models import config as config_lib


def blocks(
  config: config_lib.DecoderConfig,
  rows: float,
  length: float,
  causal: bool = True,
) -> float:
  """Operations of all blocks, forward, on rows of tokens.

  Args:
    config: of the decoder.
    rows: how many rows.
    length: tokens of each.
    causal: count a query's products with the keys that it sees, half of all; a
      program that masks takes all of them.
  """
  weights = config.weights - config.vocabulary * config.width
  seen = length / 2 if causal else length
  attention = 4 * config.layers * config.heads * config.head_width * seen
  return rows * length * (2 * weights + attention)


def prompts(
  config: config_lib.DecoderConfig, rows: float, length: float
) -> float:
  """As `blocks`, masked, where of the last one the last position is wanted.

  Its other positions are given no more than a key and a value.
  """
  key_and_value = 4 * config.width * config.kv_heads * config.head_width
  one = blocks(config, rows, length, causal=False) / config.layers
  last = one / length + rows * (length - 1) * key_and_value
  return (config.layers - 1) * one + last


def logits(config: config_lib.DecoderConfig, tokens: float) -> float:
  """Operations of the unembedding of some tokens."""
  return 2.0 * config.vocabulary * config.width * tokens


def factors(
  config: config_lib.DecoderConfig, rank: int, tokens: float
) -> float:
  """Operations of an adapter of all matrices of the blocks, forward."""
  heads = config.head_width * (config.heads + config.kv_heads)
  # Two matrices of queries' heads, two of keys' and values', three of the MLP.
  sides = 2 * (2 * config.width + heads) + 3 * (config.width + config.mlp_width)
  return 2.0 * config.layers * rank * sides * tokens


def again(
  config: config_lib.DecoderConfig, rows: float, length: float
) -> float:
  """Operations that a backward pass does again where nothing is kept.

  Those of all blocks but their last product, whose value nothing needs.
  """
  last = 2.0 * config.layers * config.mlp_width * config.width
  return blocks(config, rows, length, causal=False) - last * rows * length


def training(
  config: config_lib.DecoderConfig,
  rows: float,
  length: float,
  lora_rank: int = 0,
  causal: bool = True,
  answers: float | None = None,
) -> float:
  """Operations of a step of training; what is computed again is not counted.

  Backward takes twice as much as forward: gradients of activations and of
  weights. Of a frozen base there are none of weights.

  Args:
    config: of the decoder.
    rows: of the batch.
    length: tokens of each.
    lora_rank: of the adapter that alone is trained; 0 for all weights.
    causal: as in `blocks`.
    answers: tokens whose logits are formed; all if None.
  """
  tokens = rows * length
  answers = tokens if answers is None else answers
  if not lora_rank:
    forward = blocks(config, rows, length, causal) + logits(config, answers)
    return 3 * forward
  # Gradients of both factors of a product of activations, as in attention, are
  # of activations: only what weights take has a third part.
  weights = config.weights - config.vocabulary * config.width
  attention = blocks(config, rows, length, causal) - 2 * weights * tokens
  base = 2 * (2 * weights * tokens + logits(config, answers)) + 3 * attention
  return base + 3 * factors(config, lora_rank, tokens)
