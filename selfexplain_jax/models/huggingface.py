# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Hugging Face directories of models: load, save and hash.

A directory holds `config.json` and either `model.safetensors` or shards with
`model.safetensors.index.json`. Each host reads only what its devices hold.
"""

from collections.abc import Iterable, Iterator
import dataclasses
import re
from typing import Any

from flax import nnx
import jax
import numpy as np

from selfexplain_jax import files
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import fused_attention
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.models import peft
from selfexplain_jax.models import peft_config
from selfexplain_jax.models import placement
from selfexplain_jax.models import shards
from selfexplain_jax.models import stored as stored_lib
from selfexplain_jax.models import tensor_names

WEIGHTS, INDEX = stored_lib.WEIGHTS, stored_lib.INDEX

_PROJECTION = re.compile(r'embed_projs\.(\d+)\.weight')


def read_config(directory: files.PathLike) -> config_lib.DecoderConfig:
  """Reads the configuration of a model, or of a base with its adapter.

  Args:
    directory: as for `load`.

  Raises:
    errors.InputError: naming the attribute, the file and what was expected.
  """
  folder = hub.local(directory)
  if peft.is_adapter(folder):
    return peft.config(folder, read_config(peft_config.base(folder)))
  return huggingface_config.read_config(folder)


def read_token_ids(directory: files.PathLike) -> tuple[int | None, int]:
  """Reads the beginning-of-sequence id, None without, and the end id.

  Raises:
    errors.InputError: if there is no end id, or either is no token id.
  """
  folder = hub.local(directory)
  if peft.is_adapter(folder):
    return read_token_ids(peft_config.base(folder))
  return huggingface_config.read_token_ids(folder)


def load(
  directory: files.PathLike,
  mesh: jax.sharding.Mesh,
  dtype: str | None = None,
  parameter_dtype: str | None = None,
  published_explainer: bool = False,
) -> decoder.Decoder:
  """Loads a decoder, each device's part of each parameter straight to it.

  Args:
    directory: the Hugging Face directory, local or remote, or a hub id; or one
      of an adapter in PEFT's layout, which is merged into its base.
    mesh: where the parameters go, sharded by `axis_rules`.
    dtype: of activations; the stored one if None.
    parameter_dtype: of the weights in memory; the stored one if None.
    published_explainer: whether there may be more than `config.json` says, as
      in explainers of the paper: `projections`, and rows of the embedding and
      the unembedding for tokens that were added.

  Raises:
    errors.InputError: if the directory is no such model: naming the attribute,
      file or tensor, and what was expected.
  """
  folder = hub.local(directory)
  if peft.is_adapter(folder):
    base = load(peft_config.base(folder), mesh, dtype, parameter_dtype)
    return peft.merge(folder, base, mesh)
  config = huggingface_config.read_config(folder)
  config = dataclasses.replace(
    config,
    dtype=dtype or config.dtype,
    parameter_dtype=parameter_dtype or config.parameter_dtype,
    attention=fused_attention.fastest(
      mesh.devices.flat[0], dtype or config.dtype
    ),
  )
  stored, more = stored_lib.model(folder), set()
  embedding = tensor_names.NAMES['embedding']
  if published_explainer:
    more = {name for name in stored.names() if _PROJECTION.fullmatch(name)}
    if embedding in stored:
      rows = max(config.vocabulary, stored.shape(embedding)[0])
      config = dataclasses.replace(config, vocabulary=rows)
  abstract = decoder.abstract(config)
  _check(stored, abstract, more)

  def place(
    path: Any, param: nnx.Variable, target: nnx.Variable
  ) -> nnx.Variable:
    tensors = tensor_names.find(config, path, param)
    value, sharding = param.get_value(), target.get_value()
    return param.replace(placement.place(stored, tensors, value, sharding))

  return jax.tree_util.tree_map_with_path(
    place,
    abstract,
    axis_rules.shardings(abstract, mesh),
    is_leaf=tensor_names.is_param,
  )


def projections(directory: files.PathLike) -> dict[int, np.ndarray]:
  """Reads the projections of an explainer of the paper.

  Args:
    directory: of its model, or a hub id.

  Returns:
    By the target's layer a matrix f32[E, D], which maps a vector of the target
    to one of the explainer; nothing where there are none, as in an adapter.

  Raises:
    errors.InputError: if the weights are damaged, or a projection is no matrix
      to the explainer's width.
  """
  folder = hub.local(directory)
  if peft.is_adapter(folder):
    return {}
  stored, width = stored_lib.model(folder), read_config(folder).width
  found = {}
  for name in stored.names():
    match = _PROJECTION.fullmatch(name)
    if match:
      shape = stored.shape(name)
      stored.expect(name, (width, *shape[1:2]), huggingface_config.FILE)
      found[int(match[1])] = stored.tensor(name).astype(np.float32)
  return dict(sorted(found.items()))


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
  files.remove(files.path(directory) / huggingface_config.FILE)
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
  model loaded from it agree, unless they differ in dtype. The hash of an
  adapter's directory is made of its base's, its own tensors and its scale.

  Raises:
    errors.InputError: if the directory has no readable weights.
  """
  if isinstance(model_or_directory, decoder.Decoder):
    return files.digest_json(_digests(_exported(model_or_directory)))
  return hosts.from_lead(lambda: _stored_hash(model_or_directory))


def _stored_hash(directory: files.PathLike) -> str:
  """The hash of what a directory holds."""
  folder = hub.local(directory)
  if peft.is_adapter(folder):
    name = peft_config.base(folder)
    base, layers = _stored_hash(name), read_config(name).layers
    scale = peft_config.read(folder, layers).scale
    own = _digests(stored_lib.Stored(folder, [peft.WEIGHTS]).tensors())
    return files.digest_json({'base': base, 'scale': scale, 'adapter': own})
  return files.digest_json(_digests(stored_lib.model(folder).tensors()))


def _digests(
  tensors: Iterable[tuple[str, np.ndarray]],
) -> dict[str, list[Any]]:
  """Dtype, shape and digest of the bytes of each tensor."""
  return {
    name: [tensor.dtype.name, tensor.shape, files.digest(tensor.tobytes())]
    for name, tensor in tensors
  }


def _check(
  stored: stored_lib.Stored, abstract: decoder.Decoder, more: set[str]
) -> None:
  """Raises InputError unless all but `more` are the decoder's tensors."""
  expected = {
    name: tensors.shape
    for tensors, _ in tensor_names.parameters(abstract)
    for name in tensors.names
  }
  for name, shape in expected.items():
    stored.expect(name, shape, huggingface_config.FILE)
  stored.expect_no_others({*expected} | more, huggingface_config.FILE)


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
  host = hosts.fetch(value[layer] if tensors.stacked else value)
  return np.ascontiguousarray(host.T if tensors.transposed else host)


def _exported(model: decoder.Decoder) -> Iterator[tuple[str, np.ndarray]]:
  """Yields each tensor by the name and in the layout that it is stored with."""
  for name, source in sorted(_sources(model).items(), key=lambda one: one[0]):
    yield name, _fetch(*source)
