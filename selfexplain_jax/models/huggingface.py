# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Hugging Face directories of models: load, save and hash.

A directory holds `config.json` and either `model.safetensors` or shards with
`model.safetensors.index.json`. Their matrices are [out, in] and there is one a
layer; ours are [in, out] and stacked over layers.
"""

from collections.abc import Iterator
import dataclasses
import os
import tempfile
from typing import Any

from flax import nnx
import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface_config

WEIGHTS = 'model.safetensors'
INDEX = 'model.safetensors.index.json'

read_config = huggingface_config.read_config
read_token_ids = huggingface_config.read_token_ids

_DTYPES = ('F32', 'BF16', 'F16')

# Attribute of Decoder: tensor name.
_NAMES = {
  'embedding': 'model.embed_tokens.weight',
  'final_norm': 'model.norm.weight',
  'unembedding': 'lm_head.weight',
}

# Attribute of Layers: tensor name after `model.layers.{i}.`.
_LAYER_NAMES = {
  'attention_norm': 'input_layernorm.weight',
  'query': 'self_attn.q_proj.weight',
  'key': 'self_attn.k_proj.weight',
  'value': 'self_attn.v_proj.weight',
  'output': 'self_attn.o_proj.weight',
  'query_norm': 'self_attn.q_norm.weight',
  'key_norm': 'self_attn.k_norm.weight',
  'mlp_norm': 'post_attention_layernorm.weight',
  'gate': 'mlp.gate_proj.weight',
  'up': 'mlp.up_proj.weight',
  'down': 'mlp.down_proj.weight',
}

# Where Gemma 2, which norms what is added too, has other names.
_POST_NORM_NAMES = {
  'attention_post_norm': 'post_attention_layernorm.weight',
  'mlp_norm': 'pre_feedforward_layernorm.weight',
  'mlp_post_norm': 'post_feedforward_layernorm.weight',
}


def load(
  directory: files.PathLike,
  mesh: jax.sharding.Mesh,
  dtype: str | None = None,
  parameter_dtype: str | None = None,
) -> decoder.Decoder:
  """Loads a decoder, each device's part of each parameter straight to it.

  Args:
    directory: the Hugging Face directory, local or remote, or a hub id.
    mesh: where the parameters go, sharded by `axis_rules`.
    dtype: of activations; the stored one if None.
    parameter_dtype: of the weights in memory; the stored one if None.

  Raises:
    errors.InputError: if the directory is no such model: naming the attribute,
      file or tensor, and what was expected.
  """
  config = read_config(directory)
  config = dataclasses.replace(
    config,
    dtype=dtype or config.dtype,
    parameter_dtype=parameter_dtype or config.parameter_dtype,
  )
  abstract = decoder.abstract(config)
  stored = _Stored(directory)
  stored.check(abstract)

  def place(path: Any, param: nnx.Variable, target: nnx.Variable):
    tensors = _tensors(config, path, param)
    parts: dict[str, np.ndarray] = {}  # A replicated part is read once.

    def part(index: Any) -> np.ndarray:
      if str(index) not in parts:
        read = tensors.read(stored, index)
        parts[str(index)] = read.astype(jnp.dtype(config.parameter_dtype))
      return parts[str(index)]

    shape, sharding = param.get_value().shape, target.get_value()
    return param.replace(jax.make_array_from_callback(shape, sharding, part))

  return jax.tree_util.tree_map_with_path(
    place, abstract, axis_rules.shardings(abstract, mesh), is_leaf=_is_param
  )


def save(
  model: decoder.Decoder,
  directory: files.PathLike,
  bos_id: int | None = None,
  eos_id: int | None = None,
) -> None:
  """Writes a decoder as a Hugging Face directory; equal models, equal bytes.

  Called by every process of a job; the first one writes. `config.json` comes
  last, so that a directory that has it is whole.

  Args:
    model: the decoder; weights are stored in their own dtype.
    directory: where to; made if absent.
    bos_id: the beginning-of-sequence token, for `config.json`.
    eos_id: the end token, for `config.json`.
  """
  huggingface_config.check(model.config)
  content = dict(_exported(model))
  if jax.process_index():
    return
  # transformers refuses a file that does not say which framework it is for.
  packed = safetensors_numpy.save(content, metadata={'format': 'pt'})
  files.write_bytes(files.path(directory) / WEIGHTS, packed)
  huggingface_config.write_config(model.config, directory, bos_id, eos_id)


def weight_hash(model_or_directory: decoder.Decoder | files.PathLike) -> str:
  """Returns the SHA-256 of names, dtypes, shapes and bytes of all tensors.

  It does not depend on the sharding, in memory or in files: a directory and the
  model loaded from it agree, unless they differ in dtype.

  Raises:
    errors.InputError: if the directory has no readable weights.
  """
  if isinstance(model_or_directory, decoder.Decoder):
    tensors = _exported(model_or_directory)
  else:
    tensors = _Stored(model_or_directory).tensors()
  return files.digest_json(
    {
      name: [tensor.dtype.name, tensor.shape, files.digest(tensor.tobytes())]
      for name, tensor in tensors
    }
  )


def _is_param(leaf: Any) -> bool:
  return isinstance(leaf, nnx.Variable)


@dataclasses.dataclass(frozen=True)
class _Tensors:
  """Where one parameter is stored.

  Attributes:
    names: tensor names, one a layer for stacked parameters, else one.
    shape: of each of them.
    stacked: whether the parameter has a leading layer axis.
    transposed: whether it is a matrix stored [out, in].
  """

  names: tuple[str, ...]
  shape: tuple[int, ...]
  stacked: bool
  transposed: bool

  def read(self, stored: '_Stored', index: tuple[slice, ...]) -> np.ndarray:
    """Reads the part of the parameter at `index`, in the stored dtype."""
    if not self.stacked:
      return stored.slice(self.names[0])[index]
    layers, *rest = index
    order = tuple(reversed(rest)) if self.transposed else tuple(rest)
    parts = [stored.slice(name)[order] for name in self.names[layers]]
    return np.stack([part.T if self.transposed else part for part in parts])


def _tensors(
  config: config_lib.DecoderConfig, path: Any, param: nnx.Variable
) -> _Tensors:
  """Looks up a parameter by its path in the module."""
  attribute, shape = path[-1].name, tuple(param.get_value().shape)
  if path[0].name != 'layers':
    return _Tensors((_NAMES[attribute],), shape, False, False)
  layers, *one = shape
  own = _POST_NORM_NAMES if config.post_norms else {}
  suffix = {**_LAYER_NAMES, **own}[attribute]
  names = tuple(f'model.layers.{i}.{suffix}' for i in range(layers))
  return _Tensors(names, tuple(reversed(one)), True, len(one) == 2)


def _exported(model: decoder.Decoder) -> Iterator[tuple[str, np.ndarray]]:
  """Yields each tensor by the name and in the layout that it is stored with."""
  leaves = jax.tree_util.tree_leaves_with_path(model, is_leaf=_is_param)
  for path, param in leaves:
    tensors = _tensors(model.config, path, param)
    value = param.get_value()
    if not value.is_fully_addressable:
      value = multihost_utils.process_allgather(value, tiled=True)
    value = np.asarray(value)
    for i, name in enumerate(tensors.names):
      one = value[i] if tensors.stacked else value
      yield name, np.ascontiguousarray(one.T if tensors.transposed else one)


class _Stored:
  """The tensors of a directory by name, whichever files they lie in."""

  def __init__(self, directory: files.PathLike):
    self._directory = files.path(hub.local(directory))
    self._files: dict[str, Any] = {}  # Tensor name to its open file.
    for name in self._file_names():
      opened = self._open(name)
      for tensor in opened.keys():  # noqa: SIM118, not a mapping.
        if tensor in self._files:
          raise errors.InputError(
            f'{self._directory}: tensor {tensor} is stored twice: expected it '
            'in one file'
          )
        self._files[tensor] = opened
        dtype = opened.get_slice(tensor).get_dtype()
        if dtype not in _DTYPES:
          raise errors.InputError(
            f'{self._directory}: tensor {tensor} has dtype {dtype}: expected '
            f'one of {", ".join(_DTYPES)}'
          )

  def slice(self, name: str) -> Any:
    """Returns a tensor that reads only what it is indexed with."""
    return self._files[name].get_slice(name)

  def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and contents of one tensor after the other."""
    for name, opened in self._files.items():
      yield name, opened.get_tensor(name)

  def check(self, abstract: decoder.Decoder) -> None:
    """Raises InputError unless names and shapes are those of the decoder."""
    expected = {}
    leaves = jax.tree_util.tree_leaves_with_path(abstract, is_leaf=_is_param)
    for path, param in leaves:
      tensors = _tensors(abstract.config, path, param)
      expected.update({name: tensors.shape for name in tensors.names})
    for name, shape in expected.items():
      if name not in self._files:
        raise errors.InputError(
          f'{self._directory}: tensor {name} is missing: expected shape {shape}'
        )
      found = tuple(self.slice(name).get_shape())
      if found != shape:
        raise errors.InputError(
          f'{self._directory}: tensor {name} has shape {found}: '
          f'{huggingface_config.FILE} makes it {shape}'
        )
    for name in sorted(self._files):
      if name not in expected:
        found = tuple(self.slice(name).get_shape())
        raise errors.InputError(
          f'{self._directory}: unexpected tensor {name} of shape {found}: '
          f'{huggingface_config.FILE} describes a model without it'
        )

  def _file_names(self) -> list[str]:
    """Names of the files that hold the weights."""
    if (self._directory / WEIGHTS).exists():
      return [WEIGHTS]
    if not (self._directory / INDEX).exists():
      raise errors.InputError(
        f'no weights in {self._directory}: expected {WEIGHTS} or {INDEX}'
      )
    index = files.read_json(self._directory / INDEX, 'index of the weights')
    table = index.get('weight_map') if isinstance(index, dict) else None
    if not isinstance(table, dict) or not all(
      isinstance(name, str) for name in table.values()
    ):
      raise errors.InputError(
        f'{self._directory / INDEX}: expected a table "weight_map" of tensor '
        'names to file names'
      )
    return sorted(set(table.values()))

  def _open(self, name: str) -> Any:
    """Opens one file; its tensors are read when they are asked for."""
    source = self._directory / name
    if not source.exists():
      raise errors.InputError(f'no weights at {source}: expected a file there')
    try:
      if '://' not in os.fspath(source):
        return safetensors.safe_open(os.fspath(source), framework='np')
      # Only local files can be mapped. The copy lives as long as the mapping.
      with tempfile.TemporaryDirectory() as folder:
        local = files.path(folder) / 'copy.safetensors'
        source.copy(local)
        return safetensors.safe_open(os.fspath(local), framework='np')
    except safetensors.SafetensorError as e:
      raise errors.InputError(
        f'{source} is not a whole safetensors file: {e}'
      ) from e
