# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dictionaries as directories of SAELens, version 6: `SAE.load_from_disk`.

A directory holds `cfg.json` and `sae_weights.safetensors` with `W_enc`
[d_in, d_sae], `b_enc`, `W_dec` [d_sae, d_in], `b_dec` and, of `jumprelu`,
`threshold`; of `batchtopk`, which is one in training, the number
`topk_threshold`. A run names it after its hook.
"""

import functools
from typing import Any

from etils import epath
import numpy as np
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import fields
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.dictionary import tensor_files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import sites as sites_lib

FORMAT, FILE = 'SAELens', 'cfg.json'
_WEIGHTS = 'sae_weights.safetensors'
# Of a checkpoint in training: what activations are multiplied by.
_SCALE = 'activation_scaler.json'

# Tensor name by field, and its shape in fields of the config.
_TENSORS = {
  'encoder_DxS': ('W_enc', ('d_in', 'd_sae')),
  'encoder_bias_S': ('b_enc', ('d_sae',)),
  'decoder_SxD': ('W_dec', ('d_sae', 'd_in')),
  'decoder_bias_D': ('b_dec', ('d_in',)),
}
# Of the thresholds, by architecture.
_THRESHOLDS = {
  'jumprelu': ('threshold', ('d_sae',)),
  'batchtopk': ('topk_threshold', ()),
}

_DTYPES = ('float32', 'bfloat16', 'float16')
# What a field may say; those that are not here are refused.
_ALLOWED: dict[str, Any] = {
  'architecture': ('topk', 'batchtopk', 'jumprelu', 'standard'),
  'dtype': (*_DTYPES, *(f'torch.{name}' for name in _DTYPES)),
  'apply_b_dec_to_input': (True, False),
  'normalize_activations': ('none', 'expected_average_only_in'),
  'reshape_activations': ('none',),
  'rescale_acts_by_decoder_norm': (True, False),
}
# Fields that do not matter once a dictionary is trained.
_FREE = (
  *('k', 'device', 'metadata', 'decoder_init_norm', 'use_sparse_activations'),
  *('aux_loss_coefficient', 'topk_threshold_lr'),
)


def hook_name(site: str, layer: int) -> str:
  """Returns what TransformerLens calls a site of one layer."""
  return sites_lib.site(site).transformer_lens.format(i=layer)


def folder(workdir: files.PathLike, site: str, layer: int) -> epath.Path:
  """Returns where a run keeps the dictionary of one layer."""
  return files.path(workdir) / 'dictionaries' / hook_name(site, layer)


def save(
  sae: sae_lib.SparseAutoencoder,
  directory: files.PathLike,
  metadata: dict[str, Any],
) -> None:
  """Writes a dictionary; equal ones, equal bytes. `cfg.json` comes last.

  Args:
    sae: a dictionary of raw activations, not stacked.
    directory: where to; made if absent.
    metadata: what it is of, such as `hook_name` and `model_name`.
  """
  features, width = sae.decoder_SxD.shape
  names = {field: name for field, (name, _) in _TENSORS.items()}
  if sae.k is None:
    names['threshold_S'] = 'threshold'
  tensors = {
    name: np.ascontiguousarray(hosts.fetch(getattr(sae, field)))
    for field, name in names.items()
  }
  config: dict[str, Any] = {
    'architecture': sae.kind,
    'd_in': width,
    'd_sae': features,
    'dtype': 'float32',
    'device': 'cpu',
    'apply_b_dec_to_input': True,
    'normalize_activations': 'none',
    'reshape_activations': 'none',
    'metadata': metadata,
  }
  if sae.k is not None:
    config |= {'k': sae.k, 'rescale_acts_by_decoder_norm': False}
  out = files.path(directory)
  files.write_bytes(out / _WEIGHTS, safetensors_numpy.save(tensors))
  files.write_json(out / FILE, config)


def open_directory(directory: files.PathLike) -> stored_lib.Stored:
  """Opens a dictionary; its weights are read when they are asked for.

  A `standard` one is a `jumprelu` with thresholds of 0, and `batchtopk` one
  with equal thresholds. Activations of features are those of SAELens once
  scales are folded in.

  Raises:
    errors.InputError: if there is none, or a field of its config or a tensor is
      missing or not understood; the message names it.
  """
  root = files.path(directory)
  config = read_config(root)
  kind = config['architecture']
  scale = 1.0
  parts = [root / FILE, root / _WEIGHTS]
  if config.get('normalize_activations') == 'expected_average_only_in':
    scale = _scale(root)
    parts.append(root / _SCALE)
  metadata = fields.read(config, 'metadata', dict, root / FILE, {})
  tensors = functools.partial(_tensors, root / _WEIGHTS, config)
  tensors()
  return stored_lib.Stored(
    folder=str(root),
    format=FORMAT,
    width=config['d_in'],
    features=config['d_sae'],
    tensors=tensors,
    parts=tuple(parts),
    hook=str(metadata.get('hook_name') or ''),
    model=str(metadata.get('model_name') or ''),
    k=config['k'] if kind == 'topk' else None,
    scale_in=scale,
    scale_out=scale,
    subtracts_bias=config.get('apply_b_dec_to_input', True),
    norms='values' if config.get('rescale_acts_by_decoder_norm') else 'none',
  )


def load(directory: files.PathLike) -> sae_lib.SparseAutoencoder:
  """Reads a whole dictionary; see `open_directory`."""
  return open_directory(directory).load()


def read_config(directory: files.PathLike) -> dict[str, Any]:
  """Reads and checks `cfg.json`; see `open_directory` for what it raises."""
  name = files.path(directory) / FILE
  config = fields.read_object(name, _ALLOWED, ('d_in', 'd_sae', *_FREE))
  kind = fields.read(config, 'architecture', str, name)
  counts = ('d_in', 'd_sae', *(['k'] if kind == 'topk' else []))
  for field in counts:
    fields.at_least_one(config, field, name)
  if kind == 'topk' and config['k'] > config['d_sae']:
    raise errors.InputError(
      f'{name} has k={config["k"]}: expected at most d_sae={config["d_sae"]}'
    )
  rescaled = config.get('rescale_acts_by_decoder_norm')
  if rescaled and kind not in ('topk', 'batchtopk'):
    raise errors.InputError(
      f'{name} has rescale_acts_by_decoder_norm=True: expected it of topk or '
      f'batchtopk, not {kind}'
    )
  if kind == 'batchtopk' and rescaled is None:
    fields.read(config, 'rescale_acts_by_decoder_norm', bool, name)
  return config


def _scale(root: epath.Path) -> float:
  """Reads what activations are multiplied by."""
  name = root / _SCALE
  if not name.exists():
    raise errors.InputError(
      f'{root / FILE} has normalize_activations="expected_average_only_in" and '
      f'the scale is not known: expected "none", or a file {name}'
    )
  content = files.read_json(name, 'scale of activations')
  return fields.positive(content, 'scaling_factor', name)


def _tensors(name: epath.Path, config: dict[str, Any]) -> stored_lib.Tensors:
  """Opens the tensors, and checks which they are and their shapes."""
  found = tensor_files.safetensors_file(name)
  threshold = _THRESHOLDS.get(config['architecture'])
  named = [*_TENSORS.values(), *([threshold] if threshold else [])]
  tensor_files.check(
    name,
    found,
    {tensor: tuple(config[size] for size in shape) for tensor, shape in named},
  )
  values = found[threshold[0]] if threshold else np.float32(0)
  return stored_lib.Tensors(
    **{field: found[tensor] for field, (tensor, _) in _TENSORS.items()},
    threshold_S=np.broadcast_to(values, (config['d_sae'],)),
  )
