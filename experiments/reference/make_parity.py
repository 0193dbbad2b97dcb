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
import itertools
from typing import Any

from absl import app
from absl import flags
import numpy as np
from safetensors import numpy as safetensors_numpy
import torch

from experiments.reference import hugging_face
from experiments.reference import random_models
from selfexplain_jax import files

_OUTPUT = flags.DEFINE_string(
  'output', 'tests/models/data', 'Folder to write to.'
)
_STORIES = flags.DEFINE_string(
  'stories', '../shared/data/stories260k', 'Directory of the real model.'
)

# Unequal lengths, some of them longer than the windows.
_PROMPTS = (
  [1, 7, 12, 30, 5, 9, 22],
  [1, 33],
  [1, 4, 19, 8],
  [1],
  [1, 16, 35, 3, 28, 10, 6, 21, 39, 14, 11],
  [1, 25, 25],
  [1, 2, 38, 17, 31, 0],
  [1, 13, 20, 36, 27, 29, 18, 26, 24],
)
_NEW_TOKENS = 64
_MARGIN = 2e-4  # Of the chosen token's logit: rounding gives 1e-6.
_FEWEST_TOKENS = 8  # Different ones in all generations of a model.


def _models() -> dict[str, Any]:
  """Configuration by name: all families, tied and untied."""
  make = random_models.configuration
  return {
    'llama': make('Llama', tied=False),
    'llama_tied_scaled': make('Llama 3.1', tied=True),
    'qwen3': make('Qwen3', tied=False),
    'qwen3_tied': make('Qwen3', tied=True),
    'gemma2_tied': make('Gemma 2', tied=True),
    'gemma2': make('Gemma 2', tied=False),
  }


class _BadSeedError(Exception):
  """Generations that rounding could turn, or that say the same all the time."""


def _generate(model: Any, prompt: list[int]) -> list[int]:
  """Greedy continuation, ending nowhere.

  Raises:
    _BadSeedError: for one that would be no good test.
  """
  ids = torch.tensor([prompt])
  made = model.generate(
    ids,
    attention_mask=torch.ones_like(ids),
    do_sample=False,
    max_new_tokens=_NEW_TOKENS,
  )
  # What the cache gave must be what comes without it, and clearly so.
  with torch.no_grad():
    logits = model(made, use_cache=False).logits[0, len(prompt) - 1 : -1]
  top = torch.topk(logits, 2)
  chosen = made[0, len(prompt) :]
  clear = torch.all(top.values[:, 0] - top.values[:, 1] > _MARGIN)
  if not clear or not torch.equal(top.indices[:, 0], chosen):
    raise _BadSeedError
  return chosen.tolist()


def _expected(model: Any, seed: int) -> dict[str, np.ndarray]:
  """What the tests compare with."""
  tokens = np.random.default_rng(seed).integers(0, 40, (2, 14), np.int32)
  longest = max(map(len, _PROMPTS))
  prompts = np.zeros((len(_PROMPTS), longest), np.int32)
  for row, prompt in zip(prompts, _PROMPTS, strict=True):
    row[: len(prompt)] = prompt
  generated = np.array([_generate(model, p) for p in _PROMPTS], np.int32)
  if len(np.unique(generated)) < _FEWEST_TOKENS:
    raise _BadSeedError
  return {
    'tokens': tokens,
    **hugging_face.run(model, tokens),
    'prompts': prompts,
    'prompt_lengths': np.array([len(p) for p in _PROMPTS], np.int32),
    'generated': generated,
  }


def _first_good(config: Any) -> tuple[Any, dict[str, np.ndarray]]:
  """The model of the first seed that is a good test, and what it must give."""
  for seed in itertools.count():
    model = random_models.build(config, seed)
    try:
      return model, _expected(model, seed)
    except _BadSeedError:
      continue
  raise AssertionError


def _write(name: str, arrays: dict[str, np.ndarray]) -> None:
  arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
  files.write_bytes(
    files.path(_OUTPUT.value) / name, safetensors_numpy.save(arrays)
  )


def main(argv: Sequence[str]) -> None:
  """Writes all models and what they must give."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  for name, config in _models().items():
    folder = files.path(_OUTPUT.value) / name
    model, expected = _first_good(config)
    model.save_pretrained(folder)
    (folder / 'generation_config.json').unlink(missing_ok=True)
    _write(f'{name}/expected.safetensors', expected)
  tokens = np.random.default_rng(0).integers(3, 512, (2, 24), np.int32)
  tokens[:, 0] = 1
  logits = hugging_face.run(hugging_face.load(_STORIES.value), tokens)['logits']
  _write(
    'stories260k.safetensors',
    {'tokens': tokens, 'last_logits': logits[:, -4:]},
  )


if __name__ == '__main__':
  app.run(main)
