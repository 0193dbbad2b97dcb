# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Hugging Face directories of models: load, save and hash.

A directory holds `config.json` and either `model.safetensors` or shards with
`model.safetensors.index.json`. Each host reads only what its devices hold.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

from flax import nnx
import jax
from jax.experimental import multihost_utils
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.models import decoder
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.models import shards
from selfexplain_jax.models import stored as stored_lib
from selfexplain_jax.models import tensor_names

WEIGHTS, INDEX = stored_lib.WEIGHTS, stored_lib.INDEX

read_config = huggingface_config.read_config
read_token_ids = huggingface_config.read_token_ids


def load(
  directory: files.PathLike,
  mesh: jax.sharding.Mesh,
  dtype: str | None = None,
  parameter_dtype: str | None = None,
) -> decoder.Decoder:
  """Loads a decoder, each device's part of each parameter straight to it.

  Beside what the devices hold, a host needs memory for one part of one
  parameter at a time.

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
  stored = stored_lib.model(hub.local(directory))
  _check(stored, abstract)

  def place(
    path: Any, param: nnx.Variable, target: nnx.Variable
  ) -> nnx.Variable:
    tensors = tensor_names.find(config, path, param)
    value, sharding = param.get_value(), target.get_value()
    return param.replace(_place(stored, tensors, value, sharding))

  return jax.tree_util.tree_map_with_path(
    place,
    abstract,
    axis_rules.shardings(abstract, mesh),
    is_leaf=tensor_names.is_param,
  )


def save(
  model: decoder.Decoder,
  directory: files.PathLike,
  bos_id: int | None = None,
  eos_id: int | None = None,
) -> None:
  """Writes a decoder as a Hugging Face directory; equal models, equal bytes.

  Called by every process of a job; the first one writes. One tensor is in the
  host's memory at a time. `config.json` comes last, so that a directory that
  has it is whole.

  Args:
    model: the decoder; weights are stored in their own dtype.
    directory: where to; made if absent.
    bos_id: the beginning-of-sequence token, for `config.json`.
    eos_id: the end token, for `config.json`.

  Raises:
    errors.InputError: if no family of models has the decoder's traits.
  """
  huggingface_config.check(model.config)
  if jax.process_index():
    for _ in _exported(model):  # Parts of what the first process writes.
      pass
    return
  (files.path(directory) / huggingface_config.FILE).unlink(missing_ok=True)
  sources = _sources(model)
  specs = {
    name: (tensors.shape, value.dtype.name)
    for name, (tensors, value, _) in sources.items()
  }
  shards.write(directory, specs, lambda name: _fetch(*sources[name]))
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
    tensors = stored_lib.model(hub.local(model_or_directory)).tensors()
  return files.digest_json(
    {
      name: [tensor.dtype.name, tensor.shape, files.digest(tensor.tobytes())]
      for name, tensor in tensors
    }
  )


def _check(stored: stored_lib.Stored, abstract: decoder.Decoder) -> None:
  """Raises InputError unless names and shapes are those of the decoder."""
  expected = {
    name: tensors.shape
    for tensors, _ in tensor_names.parameters(abstract)
    for name in tensors.names
  }
  for name, shape in expected.items():
    stored.expect(name, shape, huggingface_config.FILE)
  stored.expect_no_others(expected, huggingface_config.FILE)


def _place(
  stored: stored_lib.Stored,
  tensors: tensor_names.Tensors,
  param: jax.ShapeDtypeStruct,
  sharding: jax.sharding.Sharding,
) -> jax.Array:
  """Reads a parameter, one part after the other, and puts it on the devices."""
  devices: dict[tuple[tuple[int, int], ...], list[jax.Device]] = {}
  indices = sharding.addressable_devices_indices_map(param.shape)
  for device, index in indices.items():
    bounds = tuple(
      axis.indices(size)[:2]
      for axis, size in zip(index or (), param.shape, strict=True)
    )
    devices.setdefault(bounds, []).append(device)
  arrays: list[jax.Array] = []
  for bounds, same in devices.items():  # What is replicated is read once.
    part = np.empty([stop - start for start, stop in bounds], param.dtype)
    _fill(part, stored, tensors, [slice(*one) for one in bounds])
    arrays += [jax.device_put(part, device) for device in same]
    # Before the next is read, so that its memory can be that of this one.
    jax.block_until_ready(arrays)
  return jax.make_array_from_single_device_arrays(param.shape, sharding, arrays)


def _fill(
  part: np.ndarray,
  stored: stored_lib.Stored,
  tensors: tensor_names.Tensors,
  index: list[slice],
) -> None:
  """Reads the part of a parameter at `index`, layer by layer."""
  if not tensors.stacked:
    stored.read(tensors.names[0], tuple(index), part)
    return
  layers, *rest = index
  order = tuple(reversed(rest)) if tensors.transposed else tuple(rest)
  for name, one in zip(tensors.names[layers], part, strict=True):
    stored.read(name, order, one.T if tensors.transposed else one)


def _sources(
  model: decoder.Decoder,
) -> dict[str, tuple[tensor_names.Tensors, jax.Array, int]]:
  """Of each tensor to store: its parameter, and which layer of it it is."""
  return {
    name: (tensors, param.get_value(), layer)
    for tensors, param in tensor_names.parameters(model)
    for layer, name in enumerate(tensors.names)
  }


def _fetch(
  tensors: tensor_names.Tensors, value: jax.Array, layer: int
) -> np.ndarray:
  """Fetches one tensor of a parameter, in the layout that it is stored in."""
  one = value[layer] if tensors.stacked else value
  if not one.is_fully_addressable:
    one = multihost_utils.process_allgather(one, tiled=True)
  host = np.asarray(one)
  return np.ascontiguousarray(host.T if tensors.transposed else host)


def _exported(model: decoder.Decoder) -> Iterator[tuple[str, np.ndarray]]:
  """Yields each tensor by the name and in the layout that it is stored with."""
  for name, source in sorted(_sources(model).items(), key=lambda one: one[0]):
    yield name, _fetch(*source)
