# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Compares published dictionaries with what SAELens makes of the same files.

Needs the [peers] extra. From the repository root:

  JAX_PLATFORMS=cpu python -m experiments.reference.dictionaries

Random dictionaries of every kind are written in every format, those of SAELens
by SAELens itself, and read by both. A line for each gives the largest
differences of features and reconstructions, as shares of the largest values.
Exits with 1 if one is above 1e-4.
"""

from collections.abc import Callable, Iterator
import json
import math
import pathlib
import sys
import tempfile
from typing import Any
from unittest import mock

import jax.numpy as jnp
import numpy as np
import sae_lens
from sae_lens import registry
from sae_lens.loading import pretrained_sae_loaders
from safetensors import numpy as safetensors_numpy
import torch

from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import sparse_autoencoder

_WIDTH, _FEATURES, _BOUND = 16, 1024, 1e-4
_HOOK = 'blocks.3.hook_resid_post'
_NORM = 2.5  # Of activations on average, in Llama Scope.

Pair = tuple[str, pathlib.Path, Any]


def _saelens(root: pathlib.Path) -> Iterator[Pair]:
  """Dictionaries that SAELens writes and reads."""
  kinds: dict[str, list[dict[str, Any]]] = {
    'standard': [{}],
    'jumprelu': [{}],
    'topk': [
      {'k': 20},
      {'k': 20, 'rescale_acts_by_decoder_norm': True},
    ],
  }
  for kind, options in kinds.items():
    for number, option in enumerate(options):
      for subtracted in (True, False):
        make, make_config = registry.get_sae_class(kind)
        sae = make(
          make_config(
            d_in=_WIDTH,
            d_sae=_FEATURES,
            apply_b_dec_to_input=subtracted,
            metadata=sae_lens.saes.sae.SAEMetadata(hook_name=_HOOK),
            **option,
          )
        )
        with torch.no_grad():
          for name, parameter in sae.named_parameters():
            parameter.normal_()
            if name == 'threshold':
              parameter.abs_()
        folder = root / f'{kind}{number}{subtracted}'
        sae.save_model(folder)
        read = sae_lens.SAE.load_from_disk(folder)
        yield f'SAELens {kind} {option} {subtracted}', folder, read


def _loaded(
  load: Callable, repository: str, folder: str, root: pathlib.Path
) -> Any:
  """What a loader of SAELens makes of a folder that was not downloaded."""

  def local(repo_id, filename, subfolder='', force_download=False):
    del repo_id, force_download
    return str(root / subfolder / filename)

  with mock.patch.object(pretrained_sae_loaders, 'hf_hub_download', local):
    config, state, _ = load(
      repository, folder, 'cpu', False, {'dtype': 'float32'}
    )
  if config['normalize_activations'] is None:
    config['normalize_activations'] = 'none'
  config['d_sae'] = state['W_dec'].shape[0]  # Else from the folder's name.
  config['d_in'] = state['W_dec'].shape[1]
  config['metadata'] = {'hook_name': config['hook_name']}
  made = sae_lens.SAE.from_dict(config)
  made.load_state_dict({k: v.float() for k, v in state.items()})
  return made


def _llama_scope(root: pathlib.Path) -> Pair:
  """SAELens knows no norms of the decoder, so here they do not count."""
  name = 'Llama3_1-8B-Base-L3R-32x'
  draw = np.random.default_rng(0).normal
  (root / name / 'checkpoints').mkdir(parents=True)
  tensors = {
    'encoder.weight': draw(size=(_FEATURES, _WIDTH)),
    'encoder.bias': draw(size=_FEATURES),
    'decoder.weight': draw(size=(_WIDTH, _FEATURES)),
    'decoder.bias': draw(size=_WIDTH),
  }
  (root / name / 'checkpoints' / 'final.safetensors').write_bytes(
    safetensors_numpy.save({k: v.astype('float32') for k, v in tensors.items()})
  )
  config = {
    'hook_point_in': _HOOK,
    'hook_point_out': _HOOK,
    'd_model': _WIDTH,
    'd_sae': _FEATURES,
    'act_fn': 'jumprelu',
    'jump_relu_threshold': 1.5,
    'norm_activation': 'dataset-wise',
    'dataset_average_activation_norm': {'in': _NORM, 'out': _NORM},
    'sparsity_include_decoder_norm': False,
    'use_decoder_bias': True,
    'apply_decoder_bias_to_pre_encoder': False,
    'use_glu_encoder': False,
  }
  (root / name / 'hyperparams.json').write_text(json.dumps(config))
  load = pretrained_sae_loaders.llama_scope_sae_huggingface_loader
  made = _loaded(load, 'fnlp/Llama3_1-8B-Base-LXR-32x', name, root)
  scale = math.sqrt(_WIDTH) / _NORM
  made.fold_activation_norm_scaling_factor(scale)
  return 'Llama Scope', root / name, made


def _gemma_scope(root: pathlib.Path) -> Pair:
  repository = 'google/gemma-scope-2b-pt-res'
  name = 'layer_3/width_1k/average_l0_71'
  folder = root / repository / name
  folder.mkdir(parents=True)
  draw = np.random.default_rng(0).normal
  arrays: dict[str, Any] = {
    'W_enc': draw(size=(_WIDTH, _FEATURES)).astype(np.float32),
    'b_enc': draw(size=_FEATURES).astype(np.float32),
    'W_dec': draw(size=(_FEATURES, _WIDTH)).astype(np.float32),
    'b_dec': draw(size=_WIDTH).astype(np.float32),
    'threshold': np.abs(draw(size=_FEATURES)).astype(np.float32),
  }
  np.savez(folder / 'params.npz', **arrays)
  load = pretrained_sae_loaders.gemma_2_sae_huggingface_loader
  return (
    'Gemma Scope',
    folder,
    _loaded(load, repository, name, root / repository),
  )


def _difference(ours: Any, theirs: torch.Tensor) -> float:
  wanted = theirs.detach().numpy()
  return float(np.max(np.abs(np.asarray(ours) - wanted)) / np.abs(wanted).max())


def main() -> int:
  """Prints a line for each dictionary; returns the exit code."""
  x = np.random.default_rng(1).normal(size=(64, _WIDTH)).astype(np.float32)
  worst = 0.0
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    pairs = [*_saelens(root), _llama_scope(root), _gemma_scope(root)]
    for name, path, theirs in pairs:
      sae = releases.open_directory(path).load()
      features = sparse_autoencoder.encode(sae, jnp.asarray(x))
      made = sparse_autoencoder.decode(sae, features)
      # Theirs are of scaled activations in Llama Scope, ours of raw ones.
      unit = math.sqrt(_WIDTH) / _NORM if name == 'Llama Scope' else 1.0
      expected = theirs.encode(torch.tensor(x))
      found = [
        _difference(features * unit, expected),
        _difference(made, theirs.decode(expected)),
      ]
      l0 = float((expected > 0).sum(1).float().mean())
      print(
        f'{name}: features {found[0]:.1e}, reconstructions {found[1]:.1e}, '
        f'L0 {l0:.1f}'
      )
      worst = max(worst, *found)
  return int(worst > _BOUND)


if __name__ == '__main__':
  sys.exit(main())
