# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dictionaries as directories of SAELens, version 6: `SAE.load_from_disk`.

A directory holds `cfg.json` and `sae_weights.safetensors` with `W_enc`
[d_in, d_sae], `b_enc`, `W_dec` [d_sae, d_in], `b_dec` and, of `jumprelu`,
`threshold`. A run names it after its hook.
"""

import dataclasses
from typing import Any

from etils import epath
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.models import sites as sites_lib

_CONFIG, _WEIGHTS = 'cfg.json', 'sae_weights.safetensors'

# Tensor name by field, and its shape in fields of the config.
_TENSORS = {
  'encoder_DxS': ('W_enc', ('d_in', 'd_sae')),
  'encoder_bias_S': ('b_enc', ('d_sae',)),
  'decoder_SxD': ('W_dec', ('d_sae', 'd_in')),
  'decoder_bias_D': ('b_dec', ('d_in',)),
  'threshold_S': ('threshold', ('d_sae',)),
}

# What a field may say; those that are not here are refused.
_ALLOWED: dict[str, Any] = {
  'architecture': ('topk', 'jumprelu', 'standard'),
  'dtype': ('float32', 'bfloat16', 'float16'),
  'apply_b_dec_to_input': (True, False),
  'normalize_activations': ('none',),
  'reshape_activations': ('none',),
  'rescale_acts_by_decoder_norm': (False,),
}
_NUMBERS = ('d_in', 'd_sae', 'k')
_FREE = ('device', 'metadata')


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
  tensors = {
    name: np.ascontiguousarray(jax.device_get(getattr(sae, field)))
    for field, (name, _) in _TENSORS.items()
    if sae.k is None or field != 'threshold_S'
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
  files.write_json(out / _CONFIG, config)


def load(directory: files.PathLike) -> sae_lib.SparseAutoencoder:
  """Reads a dictionary of architecture `topk`, `jumprelu` or `standard`.

  A `standard` one is a `jumprelu` with thresholds of 0. One that does not
  subtract `b_dec` from its input gets another encoder bias that amounts to it.

  Raises:
    errors.InputError: if there is none, or a field of its config or a tensor is
      missing or not understood; the message names it.
  """
  config = read_config(directory)
  tensors = _read(files.path(directory) / _WEIGHTS, config)
  sae = sae_lib.SparseAutoencoder(
    **{
      field: jnp.asarray(tensors[name], jnp.float32)
      for field, (name, _) in _TENSORS.items()
    },
    k=config['k'] if config['architecture'] == 'topk' else None,
  )
  if config.get('apply_b_dec_to_input', True):
    return sae
  bias = sae.encoder_bias_S + sae.decoder_bias_D @ sae.encoder_DxS
  return dataclasses.replace(sae, encoder_bias_S=bias)


def read_config(directory: files.PathLike) -> dict[str, Any]:
  """Reads and checks `cfg.json`; see `load` for what it raises."""
  name = files.path(directory) / _CONFIG
  config = files.read_json(name, 'config of a dictionary')
  if not isinstance(config, dict):
    raise errors.InputError(f'{name} is no object: expected one with fields')
  known = (*_ALLOWED, *_NUMBERS, *_FREE)
  for field, value in config.items():
    if field not in known:
      raise errors.InputError(
        f'{name} has a field {field!r}: expected none but {", ".join(known)}'
      )
    allowed = _ALLOWED.get(field)
    if allowed is not None and value not in allowed:
      choices = ' or '.join(repr(choice) for choice in allowed)
      raise errors.InputError(
        f'{name} has {field}={value!r}: expected {choices}'
      )
  needed = ['architecture', 'd_in', 'd_sae']
  if config.get('architecture') == 'topk':
    needed.append('k')
  for field in needed:
    if field not in config:
      raise errors.InputError(f'{name} has no field {field!r}: expected one')
  for field in set(needed) & set(_NUMBERS):
    if type(config[field]) is not int or config[field] < 1:
      raise errors.InputError(
        f'{name} has {field}={config[field]!r}: expected an integer >= 1'
      )
  return config


def _read(name: epath.Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
  """Reads the tensors, by name, and checks which they are and their shapes."""
  if not name.exists():
    raise errors.InputError(f'no dictionary: expected a file at {name}')
  try:
    found = safetensors_numpy.load(name.read_bytes())
  except safetensors.SafetensorError as e:
    raise errors.InputError(f'{name} is no safetensors file: {e}') from e
  expected = {
    tensor: tuple(config[size] for size in shape)
    for tensor, shape in _TENSORS.values()
    if tensor != 'threshold' or config['architecture'] == 'jumprelu'
  }
  for tensor in sorted(expected.keys() | found.keys()):
    shape = found[tensor].shape if tensor in found else None
    if shape != expected.get(tensor):
      raise errors.InputError(
        f'{name}: {tensor} has shape {shape}, expected {expected.get(tensor)}'
      )
  return {'threshold': np.zeros(config['d_sae'], np.float32), **found}
