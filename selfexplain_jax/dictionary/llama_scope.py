# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dictionaries of Llama Scope (He et al. 2024, arXiv 2410.20526).

A release has a directory for each layer, `Llama3_1-8B-Base-L15R-32x`, with
`hyperparams.json` and `checkpoints/final.safetensors`: `encoder.weight`
[d_sae, d_model], `encoder.bias`, `decoder.weight` [d_model, d_sae] and
`decoder.bias`, all of activations whose average norm is sqrt(d_model). The
threshold alone is in units of raw activations: it is compared with what is
encoded, times the norm of the decoder's column, once the scale is folded in.
"""

import functools
import math
import re
from typing import Any

from etils import epath
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import fields
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.dictionary import tensor_files

FORMAT, FILE = 'Llama Scope', 'hyperparams.json'
_WEIGHTS = 'checkpoints/final.safetensors'

_BOTH = (True, False)
_ALLOWED: dict[str, Any] = {
  # `topk` with a threshold is what the threshold was found for.
  'act_fn': ('jumprelu', 'topk', 'relu'),
  'norm_activation': ('dataset-wise', 'inference'),
  'sparsity_include_decoder_norm': _BOTH,
  'use_decoder_bias': _BOTH,
  'apply_decoder_bias_to_pre_encoder': _BOTH,
  'use_glu_encoder': (False,),
}
_NEEDED = (
  *('d_model', 'd_sae', 'hook_point_in', 'hook_point_out'),
  *('jump_relu_threshold', 'dataset_average_activation_norm'),
)
# Fields that do not matter once a dictionary is trained.
_FREE = (
  *('device', 'seed', 'dtype', 'expansion_factor', 'top_k', 'k_warmup_steps'),
  *('bias_init_method', 'decoder_exactly_fixed_norm', 'init_decoder_norm'),
  *('init_encoder_norm', 'init_encoder_with_decoder_transpose', 'lp'),
  *('l1_coefficient', 'l1_coefficient_warmup_steps', 'use_batch_norm_mse'),
  *('use_ghost_grads', 'tp_size', 'ddp_size', 'strict_loading'),
  'sae_pretrained_name_or_path',
)
_NAME = re.compile(r'(?P<model>.+)-L(?P<layer>\d+)(?P<kind>R|A|M|TC)-\d+x')
_HOOKS = {'R': 'hook_resid_post', 'A': 'hook_attn_out', 'M': 'hook_mlp_out'}


def open_directory(directory: files.PathLike) -> stored_lib.Stored:
  """Opens the dictionary of one layer; weights are read when asked for.

  Activations of features are in units of raw activations, and directions are
  the decoder's columns as they are in the file.

  Raises:
    errors.InputError: if there is none, or a field or a tensor is missing or
      not understood, or the folder's name says another layer or site; the
      message names it.
  """
  root = files.path(directory)
  config = _config(root / FILE)
  hook = config['hook_point_in']
  scale_in = scale_out = 1.0
  if config['norm_activation'] == 'dataset-wise':
    norms = config['dataset_average_activation_norm']
    where = f'{root / FILE}: dataset_average_activation_norm'
    root_width = math.sqrt(config['d_model'])
    scale_in = root_width / fields.positive(norms, 'in', where)
    scale_out = root_width / fields.positive(norms, 'out', where)
  tensors = functools.partial(
    _tensors, root / _WEIGHTS, config, config['threshold'] * scale_out
  )
  tensors()
  return stored_lib.Stored(
    folder=str(root),
    format=FORMAT,
    width=config['d_model'],
    features=config['d_sae'],
    tensors=tensors,
    parts=(root / FILE, root / _WEIGHTS),
    hook=hook,
    model=_model(root, hook),
    scale_in=scale_in,
    scale_out=scale_out,
    subtracts_bias=config['apply_decoder_bias_to_pre_encoder'],
    norms='scores' if config['sparsity_include_decoder_norm'] else 'none',
    unit=1 / scale_in,
  )


def _config(name: epath.Path) -> dict[str, Any]:
  """Reads and checks `hyperparams.json`; adds `threshold`."""
  config = fields.read_object(name, _ALLOWED, (*_NEEDED, *_FREE))
  for field in ('d_model', 'd_sae'):
    fields.at_least_one(config, field, name)
  for field in ('hook_point_in', 'hook_point_out', 'act_fn', 'norm_activation'):
    fields.read(config, field, str, name)
  for field, choices in _ALLOWED.items():
    if choices == _BOTH:
      fields.read(config, field, bool, name)
  if config['hook_point_in'] != config['hook_point_out']:
    raise errors.InputError(
      f'{name} reads {config["hook_point_in"]} and writes '
      f'{config["hook_point_out"]}: expected a dictionary, whose '
      'hook_point_in and hook_point_out are the same'
    )
  config['threshold'] = 0.0
  if config['act_fn'] != 'relu':
    config['threshold'] = fields.positive(config, 'jump_relu_threshold', name)
  return config


def _model(root: epath.Path, hook: str) -> str:
  """Returns what the folder's name says of the model, which may be nothing."""
  named = _NAME.fullmatch(root.name)
  if named is None:
    return ''
  said = f'blocks.{int(named["layer"])}.{_HOOKS.get(named["kind"])}'
  if said != hook:
    raise errors.InputError(
      f'{root / FILE} has hook_point_in={hook!r}: expected {said!r}, as the '
      "folder's name says"
    )
  return named['model']


def _tensors(
  name: epath.Path, config: dict[str, Any], threshold: float
) -> stored_lib.Tensors:
  """Opens the tensors, and checks which they are and their shapes."""
  found = tensor_files.safetensors_file(name)
  features, width = config['d_sae'], config['d_model']
  shapes: dict[str, tuple[int, ...]] = {
    'encoder.weight': (features, width),
    'encoder.bias': (features,),
    'decoder.weight': (width, features),
  }
  if config['use_decoder_bias']:
    shapes['decoder.bias'] = (width,)
  tensor_files.check(name, found, shapes)
  return stored_lib.Tensors(
    encoder_DxS=found['encoder.weight'].T,
    encoder_bias_S=found['encoder.bias'],
    decoder_SxD=found['decoder.weight'].T,
    decoder_bias_D=found.get('decoder.bias', np.zeros(width, np.float32)),
    threshold_S=np.broadcast_to(np.float32(threshold), (features,)),
  )
