# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the tiny adapters that the tests load, and what they must give.

Needs the [reference] extra. From the repository root:

  python -m experiments.reference.make_adapters --models=tests/models/data

For models that `make_parity` made, `peft` writes random adapters into folders
beside them, with `expected.safetensors`: token ids and the logits of the
adapted model in float32.
"""

from collections.abc import Sequence
from typing import Any

from absl import app
from absl import flags
import numpy as np
import peft
from safetensors import numpy as safetensors_numpy
from safetensors import torch as safetensors_torch
import torch

from experiments.reference import hugging_face
from selfexplain_jax import files

_MODELS = flags.DEFINE_string(
  'models', 'tests/models/data', 'Folder of the models, and of the output.'
)

_ALL = ['q_proj', 'k_proj', 'v_proj', 'o_proj']
_ALL += ['gate_proj', 'up_proj', 'down_proj']

# Name of the adapter's folder: base, attributes, whether the tables go with it.
_ADAPTERS: dict[str, tuple[str, dict[str, Any], bool]] = {
  # As those that were published with the paper: scale 1/8, float32 factors,
  # and both tables whole in bfloat16.
  'adapter_published': (
    'llama',
    dict(lora_alpha=0.5, target_modules=_ALL),
    True,
  ),
  # Some matrices alone, found by a pattern, scaled by the root of the rank. The
  # embedding is trained and the unembedding, tied before, is left behind.
  'adapter_pattern': (
    'gemma2_tied',
    dict(
      lora_alpha=3,
      use_rslora=True,
      target_modules=r'.*\.(q_proj|down_proj)',
      modules_to_save=['embed_tokens'],
    ),
    False,
  ),
}
_RANK = 4


def _make(base: str, attributes: dict[str, Any]) -> Any:
  """An adapted model in which every factor matters."""
  model = hugging_face.load(str(files.path(_MODELS.value) / base))
  torch.manual_seed(0)
  adapted = peft.get_peft_model(
    model, peft.LoraConfig(r=_RANK, task_type='CAUSAL_LM', **attributes)
  ).eval()
  for name, parameter in adapted.named_parameters():
    if 'lora_' in name:
      torch.nn.init.normal_(parameter, std=0.3)
    elif parameter.requires_grad:
      parameter.data += 0.3 * torch.randn_like(parameter)
  return adapted


def main(argv: Sequence[str]) -> None:
  """Writes all adapters and what they must give."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}')
  tokens = np.random.default_rng(0).integers(0, 40, (2, 14), np.int32)
  for name, (base, attributes, tables) in _ADAPTERS.items():
    folder = files.path(_MODELS.value) / name
    adapted = _make(base, attributes)
    if tables:
      core = adapted.base_model.model
      for module in (core.model.embed_tokens, core.lm_head):
        changed = module.weight + 0.3 * torch.randn_like(module.weight)
        module.weight.data = changed.to(torch.bfloat16).to(torch.float32)
    adapted.save_pretrained(folder, save_embedding_layers=tables)
    (folder / 'README.md').unlink(missing_ok=True)
    path = folder / 'adapter_config.json'
    content = files.read_json(path, 'configuration of an adapter')
    if isinstance(content['target_modules'], list):  # Of a set, in any order.
      content['target_modules'].sort()
    files.write_json(path, content)
    if tables:
      path = folder / 'adapter_model.safetensors'
      tensors = safetensors_torch.load_file(path)
      for key in tensors:
        if 'lora_' not in key:
          tensors[key] = tensors[key].to(torch.bfloat16)
      safetensors_torch.save_file(tensors, path, metadata={'format': 'pt'})
    with torch.no_grad():
      logits = adapted(torch.from_numpy(tokens.astype(np.int64))).logits
    files.write_bytes(
      folder / 'expected.safetensors',
      safetensors_numpy.save({'tokens': tokens, 'logits': logits.numpy()}),
    )


if __name__ == '__main__':
  app.run(main)
