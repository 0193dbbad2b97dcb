# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the tiny models that the parity tests load, and what they must give.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.make_parity --output=tests/models/data

Each folder of the output is a Hugging Face directory with random weights and
`expected.safetensors`: token ids, logits, every site, and greedy generations,
all computed by `transformers` in float32. `stories260k.safetensors` holds ids
and logits alone, of a real model that lies beside the project.
"""

from collections.abc import Sequence
from typing import Any

from absl import app
from absl import flags
import numpy as np
from safetensors import numpy as safetensors_numpy
import torch
import transformers

from experiments.reference import hugging_face
from selfexplain_jax import files

_OUTPUT = flags.DEFINE_string(
  'output', 'tests/models/data', 'Folder to write to.'
)
_STORIES = flags.DEFINE_string(
  'stories', '../shared/data/stories260k', 'Directory of the real model.'
)

_SHAPE: dict[str, Any] = dict(
  vocab_size=40,
  hidden_size=16,
  intermediate_size=24,
  num_hidden_layers=2,
  num_attention_heads=4,
  num_key_value_heads=2,
  head_dim=8,
  max_position_embeddings=256,
  bos_token_id=1,
  eos_token_id=2,
  # Large enough that attention and MLP matter beside the embedding.
  initializer_range=0.25,
)

# Of its four frequencies one is kept, one blended and two are stretched.
_LLAMA3 = dict(
  rope_type='llama3',
  rope_theta=10_000.0,
  factor=8.0,
  low_freq_factor=1.0,
  high_freq_factor=4.0,
  original_max_position_embeddings=128,
)

_PROMPTS = ([1, 7, 12, 30, 5, 9, 22], [1, 33], [1, 4, 19, 8])
_NEW_TOKENS = 24
_MARGIN = 1e-3


def _models() -> dict[str, tuple[int, Any]]:
  """Seed and configuration by name: both families, tied and untied.

  The seeds are the first whose generations vary and have clear margins.
  """
  llama, qwen3 = transformers.LlamaConfig, transformers.Qwen3Config
  plain: dict[str, Any] = dict(rope_type='default', rope_theta=10_000.0)
  tied: dict[str, Any] = dict(tie_word_embeddings=True)
  return {
    'llama': (0, llama(**_SHAPE, rope_parameters=plain)),
    'llama_tied_scaled': (0, llama(**_SHAPE, rope_parameters=_LLAMA3, **tied)),
    'qwen3': (1, qwen3(**_SHAPE, rope_parameters=plain)),
    'qwen3_tied': (10, qwen3(**_SHAPE, rope_parameters=plain, **tied)),
  }


def _build(config: Any, seed: int) -> Any:
  """A model with random weights, the norms' weights included."""
  torch.manual_seed(seed)
  model = transformers.AutoModelForCausalLM.from_config(
    config, dtype=torch.float32, attn_implementation='eager'
  ).eval()
  for parameter in model.parameters():
    if parameter.ndim == 1:
      torch.nn.init.uniform_(parameter, 0.5, 1.5)
  return model


def _generate(model: Any, prompt: list[int]) -> list[int]:
  """Greedy continuation without a cache, ending nowhere.

  Raises:
    RuntimeError: if a choice was so close that rounding could turn it.
  """
  ids = list(prompt)
  for _ in range(_NEW_TOKENS):
    with torch.no_grad():
      logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    top = torch.topk(logits, 2)
    if top.values[0] - top.values[1] < _MARGIN:
      raise RuntimeError(f'margin below {_MARGIN}: choose another seed')
    ids.append(int(top.indices[0]))
  return ids[len(prompt) :]


def _expected(model: Any, seed: int) -> dict[str, np.ndarray]:
  """What the tests compare with."""
  tokens = np.random.default_rng(seed).integers(0, 40, (2, 14), np.int32)
  longest = max(map(len, _PROMPTS))
  prompts = np.zeros((len(_PROMPTS), longest), np.int32)
  for row, prompt in zip(prompts, _PROMPTS, strict=True):
    row[: len(prompt)] = prompt
  return {
    'tokens': tokens,
    **hugging_face.run(model, tokens),
    'prompts': prompts,
    'prompt_lengths': np.array([len(p) for p in _PROMPTS], np.int32),
    'generated': np.array([_generate(model, p) for p in _PROMPTS], np.int32),
  }


def _write(name: str, arrays: dict[str, np.ndarray]) -> None:
  arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
  files.write_bytes(
    files.path(_OUTPUT.value) / name, safetensors_numpy.save(arrays)
  )


def main(argv: Sequence[str]) -> None:
  """Writes all models and what they must give."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  for name, (seed, config) in _models().items():
    folder = files.path(_OUTPUT.value) / name
    model = _build(config, seed)
    model.save_pretrained(folder)
    (folder / 'generation_config.json').unlink(missing_ok=True)
    _write(f'{name}/expected.safetensors', _expected(model, seed))
  tokens = np.random.default_rng(0).integers(3, 512, (2, 24), np.int32)
  tokens[:, 0] = 1
  logits = hugging_face.run(hugging_face.load(_STORIES.value), tokens)['logits']
  _write(
    'stories260k.safetensors',
    {'tokens': tokens, 'last_logits': logits[:, -4:]},
  )


if __name__ == '__main__':
  app.run(main)
