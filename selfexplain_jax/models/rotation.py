# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The same function with its residual stream in other coordinates.

A control of privileged access: an explainer that reads its own activations by
the axes they lie along, and not by what they do, is lost on the rotated model,
although that gives the same logits for every input.

RMSNorm without a gain commutes with an orthogonal matrix Q: the norm of `h @ Q`
is that of `h`, times Q. So every gain is folded into the matrices that read
the normed stream, and then all that is read from the stream or written to it
is multiplied with Q, as Ashkboos et al. do in "SliceGPT" (2024, section 3).
The norms of query and key heads act inside heads and stay as they are.
"""

import dataclasses
import functools
from typing import Any
import zlib

from flax import nnx
import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import huggingface_config

# What each parameter of a block has to do with the residual stream: a matrix
# that reads it, by the norm before it; those that write to it; the rest.
_READERS = {
  'query': 'attention_norm',
  'key': 'attention_norm',
  'value': 'attention_norm',
  'gate': 'mlp_norm',
  'up': 'mlp_norm',
}
_WRITERS = ('output', 'down')
_INSIDE_HEADS = ('query_norm', 'key_norm')
_OUTSIDE_BLOCKS = ('embedding', 'final_norm', 'unembedding')

_PRETRAINING = 'pretraining.json'
_EXPLAINER = 'explainer.json'


def rotation_matrix(width: int, seed: int) -> np.ndarray:
  """Draws a rotation or reflection, evenly from all there are (Haar).

  The signs of the QR decomposition are fixed by those of R's diagonal, without
  which the draw is not even: Mezzadri, "How to generate random matrices from
  the classical compact groups" (2007), section 5.

  Args:
    width: D, of the residual stream.
    seed: of the draw.

  Returns:
    Q, f64[D, D]: a vector `v` of the model is `v @ Q` of the rotated one. Equal
    seeds give equal matrices, to the rounding of the machine's linear algebra.
  """
  rng = np.random.default_rng([seed, zlib.crc32(b'rotation')])
  q_DxD, r_DxD = np.linalg.qr(rng.normal(size=(width, width)))
  return q_DxD * np.sign(np.diag(r_DxD))[None, :]


def rotate(model: decoder.Decoder, seed: int) -> decoder.Decoder:
  """Returns the model in the coordinates of `rotation_matrix(width, seed)`.

  See `change_basis`.
  """
  return change_basis(model, rotation_matrix(model.config.width, seed))


def change_basis(
  model: decoder.Decoder, basis_DxD: np.ndarray
) -> decoder.Decoder:
  """Returns a model of the same function whose stream is multiplied with Q.

  Every site of the new model is that of the old one times Q, but `final_norm`:
  it has lost its gain g, and is `(h / g) @ Q`. The new model is untied, and the
  old one is left as it was. It is made on the host, in float64.

  Args:
    model: the model, in float32; all of it on this host.
    basis_DxD: Q, orthogonal.

  Raises:
    errors.InputError: if the model is not in float32 or has a parameter of
      which it is not known how it is rotated, naming it; or if Q does not fit.
  """
  _check(model, basis_DxD)
  basis = np.asarray(basis_DxD, np.float64)
  config = dataclasses.replace(model.config, tied=False)
  # Flax lets no attribute that was None become a parameter: so a new module,
  # first of shapes alone, all of which are then replaced.
  rotated = jax.eval_shape(
    functools.partial(decoder.Decoder, config), jax.random.key(0)
  )

  old, new = model.layers, rotated.layers
  for name in _INSIDE_HEADS if config.query_key_norm else ():
    gain = getattr(old, name)
    setattr(new, name, _like(gain, _array(gain)))
  for name, norm in _READERS.items():
    gained_LxDxO = _array(getattr(old, norm))[:, :, None] * _array(
      getattr(old, name)
    )
    setattr(new, name, _like(getattr(old, name), basis.T @ gained_LxDxO))
  for name in _WRITERS:
    weight = getattr(old, name)
    setattr(new, name, _like(weight, _array(weight) @ basis))
  for name in sorted(set(_READERS.values())):
    gain = getattr(old, name)
    setattr(new, name, _like(gain, np.ones_like(_array(gain))))

  table = model.embedding if model.config.tied else model.unembedding
  gained_VxD = _array(table) * _array(model.final_norm)[None, :]
  rotated.embedding = _like(model.embedding, _array(model.embedding) @ basis)
  rotated.unembedding = _like(table, gained_VxD @ basis)
  rotated.final_norm = _like(model.final_norm, np.ones(len(basis)))
  return rotated


def rotate_directory(
  source: files.PathLike, destination: files.PathLike, seed: int | None
) -> decoder.Decoder:
  """Writes a model's directory anew, rotated, and returns the rotated model.

  With the model go its tokenizer and the note of its pretraining, if it has
  them. `config.json` is written last, so that a destination that has it is
  whole; one that was cut short has none and may be written again.

  Args:
    source: a Hugging Face directory; its weights are read in float32.
    destination: where the rotated model goes, in float32.
    seed: of `rotation_matrix`; None for no rotation: then gains are folded and
      embeddings untied, as in a rotated model, and that is all.

  Raises:
    errors.InputError: if the source holds no model, or holds an explainer,
      whose vectors belong to a target; or if the destination has a model.
  """
  old, new = files.path(source), files.path(destination)
  if (new / huggingface_config.FILE).exists():
    raise errors.InputError(
      f'{new} holds a model already: expected a folder without '
      f'{huggingface_config.FILE} to put a rotated model in'
    )
  if (old / _EXPLAINER).exists():
    raise errors.InputError(
      f'{old} holds an explainer ({_EXPLAINER}): expected a target to rotate'
    )
  model, tokenizer = artefact.load(old, mesh_lib.make_mesh())
  if seed is None:
    rotated = change_basis(model, np.eye(model.config.width))
  else:
    rotated = rotate(model, seed)
  if (old / _PRETRAINING).exists():
    files.write_bytes(new / _PRETRAINING, (old / _PRETRAINING).read_bytes())
  if (old / 'tokenizer.json').exists():
    artefact.save(rotated, tokenizer, new)
  else:
    # The tokenizer is one of ids, which the copy is given as well.
    huggingface.save(rotated, new, tokenizer.bos_id, tokenizer.eos_id)
  return rotated


def _check(model: decoder.Decoder, basis_DxD: np.ndarray) -> None:
  """Raises InputError unless all of the model is known, and Q is orthogonal."""
  if model.config.post_norms or model.config.norm_offset:
    raise errors.InputError(
      'cannot rotate a model with norms after attention and MLP, as Gemma 2 '
      'has: expected a Llama or Qwen3 model, since the gains of such norms '
      'cannot be folded into a matrix'
    )
  for name in ('dtype', 'parameter_dtype'):
    if getattr(model.config, name) != 'float32':
      raise errors.InputError(
        f'cannot rotate a model with {name}={getattr(model.config, name)}: '
        'expected float32, since rounding would change what it says'
      )
  blocks = {*_READERS, *_READERS.values(), *_WRITERS, *_INSIDE_HEADS}
  leaves = jax.tree_util.tree_leaves_with_path(
    model, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
  )
  for path, _ in leaves:
    *outer, name = (part.name for part in path)
    known = blocks if outer == ['layers'] else set(_OUTSIDE_BLOCKS)
    if name not in known:
      raise errors.InputError(
        f'cannot rotate the parameter {".".join([*outer, name])}: expected '
        f'one of {", ".join(sorted(known))}'
      )
  width = model.config.width
  if np.shape(basis_DxD) != (width, width) or not np.allclose(
    basis_DxD.T @ basis_DxD, np.eye(width), rtol=0, atol=1e-9
  ):
    raise errors.InputError(
      f'basis of shape {np.shape(basis_DxD)} does not fit: expected an '
      f'orthogonal matrix of {width} by {width}, the width of the model'
    )


def _array(param: Any) -> np.ndarray:
  """The values of a parameter on the host, in float64."""
  return np.asarray(param.get_value(), np.float64)


def _like(param: Any, value: np.ndarray) -> nnx.Variable:
  """The parameter with other values, in its dtype and where its own lie."""
  own = param.get_value()
  return param.replace(jax.device_put(value.astype(own.dtype), own.sharding))
