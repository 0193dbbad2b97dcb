# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tiny `transformers` models with random weights, of every family."""

from typing import Any

import torch
import transformers

_SHAPE: dict[str, Any] = dict(
  vocab_size=40,
  hidden_size=16,
  intermediate_size=24,
  num_hidden_layers=2,
  num_attention_heads=4,
  head_dim=8,
  max_position_embeddings=256,
  bos_token_id=1,
  eos_token_id=2,
  # Large enough that attention and MLP matter beside the embedding.
  initializer_range=0.25,
)

_PLAIN = dict(rope_type='default', rope_theta=10_000.0)

# Of its four frequencies one is kept, one blended and two are stretched.
_LLAMA3 = dict(
  rope_type='llama3',
  rope_theta=10_000.0,
  factor=8.0,
  low_freq_factor=1.0,
  high_freq_factor=4.0,
  original_max_position_embeddings=128,
)

# Caps that bite, and a window shorter than the texts.
_GEMMA2 = dict(
  rope_parameters=_PLAIN,
  query_pre_attn_scalar=5,
  attn_logit_softcapping=2.0,
  final_logit_softcapping=4.0,
  sliding_window=5,
)

# By name, the class of a family's configuration and what is its own in it.
_FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
  'Llama': (transformers.LlamaConfig, dict(rope_parameters=_PLAIN)),
  'Llama 3.1': (transformers.LlamaConfig, dict(rope_parameters=_LLAMA3)),
  'Qwen3': (transformers.Qwen3Config, dict(rope_parameters=_PLAIN)),
  'Gemma 2': (transformers.Gemma2Config, _GEMMA2),
}
FAMILIES = tuple(_FAMILIES)


def configuration(family: str, *, tied: bool, kv_heads: int = 2) -> Any:
  """Returns the configuration of a model of one of `FAMILIES`, of 4 heads."""
  make, own = _FAMILIES[family]
  return make(
    **_SHAPE, **own, num_key_value_heads=kv_heads, tie_word_embeddings=tied
  )


def build(config: Any, seed: int) -> Any:
  """A model with random weights, the norms' gains included."""
  torch.manual_seed(seed)
  model = transformers.AutoModelForCausalLM.from_config(
    config, dtype=torch.float32, attn_implementation='eager'
  ).eval()
  model.generation_config.eos_token_id = None  # Generations end nowhere.
  offset = config.model_type == 'gemma2'  # It stores gains less 1.
  for parameter in model.parameters():
    if parameter.ndim == 1:
      torch.nn.init.uniform_(parameter, 0.5 - offset, 1.5 - offset)
  return model
