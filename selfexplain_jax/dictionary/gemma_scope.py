# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dictionaries of Gemma Scope (Lieberum et al. 2024, arXiv 2408.05147).

A release, `gemma-scope-2b-pt-res`, has a directory for each layer, width and
sparsity, `layer_20/width_16k/average_l0_71`, with `params.npz`: `W_enc` [D, S],
`b_enc`, `W_dec` [S, D], `b_dec` and `threshold`, of raw activations. The
decoder's bias is not subtracted from them.
"""

import functools
import os
import re

from etils import epath

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import stored as stored_lib
from selfexplain_jax.dictionary import tensor_files

FORMAT, FILE = 'Gemma Scope', 'params.npz'

_RELEASE = re.compile(r'gemma-scope-(?P<size>\w+)-(?P<kind>pt|it)-(?P<at>\w+)')
_LAYER = re.compile(r'layer_(\d+)')
_WIDTH = re.compile(r'width_(\d+)([km])')
_HOOKS = {'res': 'hook_resid_post', 'mlp': 'hook_mlp_out'}


def open_directory(directory: files.PathLike) -> stored_lib.Stored:
  """Opens one dictionary; weights are read when they are asked for.

  Raises:
    errors.InputError: if there is none, or an array is missing or not
      understood, or has another number of features than the folder's name says.
  """
  root = files.path(directory)
  opened = tensor_files.npz_file(root / FILE)
  encoder = opened.get('W_enc')
  if encoder is None or encoder.ndim != 2:
    raise errors.InputError(
      f'{root / FILE} has no matrix W_enc: expected one of shape (D, S)'
    )
  width, features = encoder.shape
  tensors = functools.partial(_tensors, root / FILE, width, features)
  tensors()
  model, hook = _names(root, features)
  return stored_lib.Stored(
    folder=str(root),
    format=FORMAT,
    width=width,
    features=features,
    tensors=tensors,
    parts=(root / FILE,),
    hook=hook,
    model=model,
    subtracts_bias=False,
  )


def _names(root: epath.Path, features: int) -> tuple[str, str]:
  """Returns the model and the hook that folders' names say, or ''."""
  path = os.path.abspath(root) if '://' not in str(root) else str(root)
  width = _WIDTH.search(path)
  if width is not None:
    unit = 1000 if width[2] == 'k' else 1000**2
    if features // unit != int(width[1]):
      raise errors.InputError(
        f'{root / FILE} has {features} features: expected {width[0]}, as the '
        "folder's name says"
      )
  release, layer = _RELEASE.search(path), _LAYER.search(path)
  if release is None or layer is None:
    return '', ''
  model = f'gemma-2-{release["size"]}'
  if release['kind'] == 'it':
    model += '-it'
  at = _HOOKS.get(release['at'], f'of {release["at"]!r}')
  return model, f'blocks.{int(layer[1])}.{at}'


def _tensors(name: epath.Path, width: int, features: int) -> stored_lib.Tensors:
  """Opens the arrays, and checks which they are and their shapes."""
  found = tensor_files.npz_file(name)
  tensor_files.check(
    name,
    found,
    {
      'W_enc': (width, features),
      'b_enc': (features,),
      'W_dec': (features, width),
      'b_dec': (width,),
      'threshold': (features,),
    },
  )
  return stored_lib.Tensors(
    encoder_DxS=found['W_enc'],
    encoder_bias_S=found['b_enc'],
    decoder_SxD=found['W_dec'],
    decoder_bias_D=found['b_dec'],
    threshold_S=found['threshold'],
  )
