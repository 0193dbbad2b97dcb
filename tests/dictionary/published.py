# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Small random dictionaries, written as publishers write them."""

import json
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from selfexplain_jax.dictionary import saelens
from tests.dictionary import fixtures

WIDTH, FEATURES = 6, 20
# Of Gemma Scope, whose folders say how many features there are.
GEMMA_FEATURES = 1024

LLAMA_WEIGHTS = 'checkpoints/final.safetensors'
LLAMA = 'Llama3_1-8B-Base-L{}R-32x'
GEMMA = 'gemma-scope-2b-pt-res/layer_{}/width_1k/average_l0_71'


def _draw(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
  random = np.random.default_rng(seed)
  return {
    name: random.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def write_tensors(name: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
  """Writes a safetensors file."""
  name.parent.mkdir(parents=True, exist_ok=True)
  name.write_bytes(
    safetensors_numpy.save(
      {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    )
  )


def read_tensors(name: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a safetensors file of any float types."""
  with safetensors.safe_open(name, framework='np') as opened:
    return {tensor: opened.get_tensor(tensor) for tensor in opened.keys()}


def llama_scope(
  root: pathlib.Path,
  layer: int = 0,
  width: int = WIDTH,
  features: int = FEATURES,
  **changes: Any,
) -> pathlib.Path:
  """Writes a dictionary of Llama Scope in bfloat16; returns its folder."""
  folder = root / LLAMA.format(layer)
  tensors = _draw(
    layer,
    **{'encoder.weight': (features, width), 'encoder.bias': (features,)},
    **{'decoder.weight': (width, features), 'decoder.bias': (width,)},
  )
  write_tensors(
    folder / LLAMA_WEIGHTS,
    {k: v.astype(jnp.bfloat16) for k, v in tensors.items()},
  )
  hook = f'blocks.{layer}.hook_resid_post'
  config = {
    'device': 'cuda:0',
    'seed': 42,
    'dtype': 'torch.bfloat16',
    'hook_point_in': hook,
    'hook_point_out': hook,
    'use_decoder_bias': True,
    'apply_decoder_bias_to_pre_encoder': False,
    'expansion_factor': 32,
    'd_model': width,
    'd_sae': features,
    'bias_init_method': 'all_zero',
    'act_fn': 'jumprelu',
    'jump_relu_threshold': 0.75,
    'norm_activation': 'dataset-wise',
    'dataset_average_activation_norm': {'in': 1.5, 'out': 1.5},
    'decoder_exactly_fixed_norm': False,
    'sparsity_include_decoder_norm': True,
    'use_glu_encoder': False,
    'init_decoder_norm': 0.5,
    'init_encoder_norm': None,
    'init_encoder_with_decoder_transpose': True,
    'lp': 1,
    'l1_coefficient': 8e-05,
    'l1_coefficient_warmup_steps': 78125,
    'top_k': 50,
    'k_warmup_steps': 78125,
    'use_batch_norm_mse': True,
    'use_ghost_grads': False,
    'tp_size': 1,
    'ddp_size': 1,
    **changes,
  }
  config = {k: v for k, v in config.items() if v is not None}
  (folder / 'hyperparams.json').write_text(json.dumps(config))
  return folder


def gemma_scope(
  root: pathlib.Path, layer: int = 0, width: int = WIDTH
) -> pathlib.Path:
  """Writes a dictionary of Gemma Scope; returns its folder."""
  folder = root / GEMMA.format(layer)
  folder.mkdir(parents=True)
  shapes = {'W_enc': (width, GEMMA_FEATURES), 'b_enc': (GEMMA_FEATURES,)}
  shapes |= {'W_dec': (GEMMA_FEATURES, width), 'b_dec': (width,)}
  arrays = _draw(layer, **shapes, threshold=(GEMMA_FEATURES,))
  arrays['threshold'] = np.abs(arrays['threshold'])
  np.savez(folder / 'params.npz', **arrays)  # type: ignore[arg-type]
  return folder


def saelens_v6(
  root: pathlib.Path,
  layer: int = 0,
  width: int = WIDTH,
  features: int = FEATURES,
) -> pathlib.Path:
  """Writes a dictionary of SAELens; returns its folder."""
  hook = saelens.hook_name('resid_post', layer)
  folder = root / hook
  saelens.save(
    fixtures.random_sae(width, features, seed=layer),
    folder,
    {'hook_name': hook, 'model_name': 'tiny', 'sae_lens_version': '6.12.1'},
  )
  return folder
