# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Configurations of real models, as their `config.json` has them."""

import json
import pathlib
from typing import Any

from experiments import paper
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import huggingface

_LLAMA_3: dict[str, Any] = dict(
  model_type='llama',
  vocab_size=128_256,
  hidden_size=4096,
  num_hidden_layers=32,
  num_attention_heads=32,
  num_key_value_heads=8,
  head_dim=128,
  intermediate_size=14_336,
  max_position_embeddings=8192,
  rms_norm_eps=1e-5,
  rope_theta=500_000.0,
  tie_word_embeddings=False,
  torch_dtype='bfloat16',
  bos_token_id=128_000,
  eos_token_id=128_001,
)
_LLAMA_31 = dict(
  **_LLAMA_3,
  rope_scaling=dict(
    rope_type='llama3',
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=8192,
  ),
)
_LLAMA_31['max_position_embeddings'] = 131_072
_GEMMA = dict(
  model_type='gemma2',
  vocab_size=256_000,
  hidden_size=3584,
  num_hidden_layers=42,
  num_attention_heads=16,
  num_key_value_heads=8,
  head_dim=256,
  intermediate_size=14_336,
  max_position_embeddings=8192,
  rms_norm_eps=1e-6,
  rope_theta=10_000.0,
  hidden_activation='gelu_pytorch_tanh',
  query_pre_attn_scalar=256,
  attn_logit_softcapping=50.0,
  final_logit_softcapping=30.0,
  sliding_window=4096,
  torch_dtype='bfloat16',
  bos_token_id=2,
  eos_token_id=1,
)

CONFIGS: dict[str, dict[str, Any]] = {
  paper.LLAMA: _LLAMA_31,
  paper.LLAMA_INSTRUCT: _LLAMA_31,
  paper.LLAMA_3: _LLAMA_3,
  paper.LLAMA_70B: dict(
    _LLAMA_31,
    hidden_size=8192,
    num_hidden_layers=80,
    num_attention_heads=64,
    intermediate_size=28_672,
  ),
  paper.QWEN: dict(
    model_type='qwen3',
    vocab_size=151_936,
    hidden_size=4096,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    intermediate_size=12_288,
    max_position_embeddings=40_960,
    rms_norm_eps=1e-6,
    rope_theta=1_000_000.0,
    tie_word_embeddings=False,
    torch_dtype='bfloat16',
    bos_token_id=151_643,
    eos_token_id=151_645,
  ),
  paper.GEMMA: _GEMMA,
  paper.GEMMA_INSTRUCT: _GEMMA,
}


def write(name: str, directory: pathlib.Path) -> None:
  """Writes the `config.json` of a model, and nothing else of it."""
  directory.mkdir(parents=True, exist_ok=True)
  (directory / 'config.json').write_text(json.dumps(CONFIGS[name]))


def shape(name: str, folder: str) -> config_lib.DecoderConfig:
  """Returns the shape that its `config.json` gives a model."""
  directory = pathlib.Path(folder) / name.replace('/', '_')
  write(name, directory)
  return huggingface.read_config(directory)
