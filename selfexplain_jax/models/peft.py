# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Adapters in PEFT's layout: read onto a base model, and written.

A directory holds `adapter_config.json` and `adapter_model.safetensors`: of each
adapted matrix the factors lora_A [r, in] and lora_B [out, r], and where they
are trained too, the embedding and the unembedding, whole.
"""

import dataclasses
from typing import Any

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import hosts
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.models import peft_config
from selfexplain_jax.models import placement
from selfexplain_jax.models import shards
from selfexplain_jax.models import stored as stored_lib
from selfexplain_jax.models import tensor_names

WEIGHTS = 'adapter_model.safetensors'

_PREFIX = 'base_model.model.'
_EMBEDDING = _PREFIX + tensor_names.NAMES['embedding']
_UNEMBEDDING = _PREFIX + tensor_names.NAMES['unembedding']


def is_adapter(directory: files.PathLike) -> bool:
  """Whether a directory holds an adapter, and not a whole model."""
  folder = files.path(directory)
  return (folder / peft_config.FILE).exists() and not any(
    (folder / name).exists() for name in (stored_lib.WEIGHTS, stored_lib.INDEX)
  )


def config(
  directory: files.PathLike, base: config_lib.DecoderConfig
) -> config_lib.DecoderConfig:
  """Returns the configuration of a base with an adapter merged into it.

  Raises:
    errors.InputError: if the adapter is damaged, or does not fit the base.
  """
  return _Adapter(directory, base).config


def merge(
  directory: files.PathLike, base: decoder.Decoder, mesh: jax.sharding.Mesh
) -> decoder.Decoder:
  """Returns a base model with an adapter merged into it.

  Args:
    directory: of the adapter.
    base: the model; it stays as it was.
    mesh: where the base lies.

  Raises:
    errors.InputError: if the adapter is damaged, or does not fit the base.
  """
  adapter = _Adapter(directory, base.config)
  # Flax lets no attribute that was None become a parameter: so a new module.
  merged = decoder.abstract(adapter.config)
  merged.layers = _merged_layers(base.layers, adapter.factors(base, mesh))
  merged.final_norm = base.final_norm
  merged.embedding, unembedding = adapter.tables(base, mesh)
  if unembedding is not None:
    merged.unembedding = unembedding
  return merged


def load(
  directory: files.PathLike, base: decoder.Decoder, mesh: jax.sharding.Mesh
) -> lora.Lora:
  """Reads an adapter, its scale multiplied into its factors.

  Args:
    directory: of the adapter.
    base: the model that it is for.
    mesh: where the base lies.

  Raises:
    errors.InputError: if the adapter is damaged, does not fit the base, or
      holds what is no adapter of the base: another vocabulary, or an
      unembedding that is not the embedding's.
  """
  adapter = _Adapter(directory, base.config)
  embedding, unembedding = adapter.tables(base, mesh)
  # What the base would have with this embedding.
  expected = embedding if base.unembedding is None else base.unembedding
  own = unembedding is not None and not jnp.array_equal(
    unembedding[...], expected[...]
  )
  if own or adapter.config.vocabulary != base.config.vocabulary:
    raise errors.InputError(
      f'{files.path(directory) / WEIGHTS}: the unembedding or the vocabulary '
      'differs from that of the base: expected an adapter without its own, '
      'or merge it into the base'
    )
  new = jax.eval_shape(
    lambda key: lora.Lora(base, adapter.peft.rank, key), jax.random.key(0)
  )
  new.factors = adapter.factors(base, mesh)
  delta = embedding[...].astype(jnp.float32) - base.embedding[...]
  assert new.embedding is not None
  new.embedding = new.embedding.replace(delta)
  return new


def save(
  adapter: lora.Lora,
  base: decoder.Decoder,
  directory: files.PathLike,
  base_name: str,
) -> None:
  """Writes an adapter so that PEFT loads it onto the base.

  Called by every process of a job; the first one writes. The embedding goes
  with it, whole, if the adapter changes it: twice where the base is tied, since
  for PEFT what is trained whole is no longer tied.

  Args:
    adapter: the adapter.
    base: the model that it is for.
    directory: where to; made if absent.
    base_name: directory or hub id under which the base is found.
  """
  values: dict[str, tuple[jax.Array, int | None]] = {}
  layers, factors = base.config.layers, adapter.factors
  rank = getattr(factors, f'{lora.MATRICES[0]}_down')[...].shape[-1]
  for attribute in lora.MATRICES:
    for factor, part in (('down', 'lora_A'), ('up', 'lora_B')):
      stack = getattr(factors, f'{attribute}_{factor}')[...]
      for layer in range(layers):
        name = _factor(tensor_names.module(layer, attribute), part)
        values[name] = (stack, layer)
  saved = []
  if adapter.embedding is not None and jnp.any(adapter.embedding[...]):
    table = lora.with_embedding(base, adapter).embedding[...]
    values[_EMBEDDING] = (table, None)
    saved.append('embed_tokens')
    if base.config.tied:
      values[_UNEMBEDDING] = (table, None)
      saved.append('lm_head')

  def read(name: str) -> np.ndarray:
    value, layer = values[name]
    return hosts.fetch(value if layer is None else value[layer].T)

  specs = {
    name: (
      value.shape if layer is None else tuple(reversed(value.shape[1:])),
      value.dtype.name,
    )
    for name, (value, layer) in values.items()
  }
  shards.write_file(files.path(directory) / WEIGHTS, specs, read)
  peft_config.write(directory, base_name, rank, adapter.factors.scale, saved)


class _Adapter:
  """An adapter's directory, opened and found to fit a base.

  Attributes:
    peft: what its configuration says.
    stored: its tensors.
    config: of the base with the adapter merged.
  """

  def __init__(self, directory: files.PathLike, base: config_lib.DecoderConfig):
    self.peft = peft_config.read(directory, base.layers)
    self.stored = stored_lib.Stored(directory, [WEIGHTS])
    self._check(base)
    self.config = self._merged(base)

  def factors(
    self, base: decoder.Decoder, mesh: jax.sharding.Mesh
  ) -> lora.Factors:
    """Reads the factors, scaled."""
    factors = jax.eval_shape(
      lambda key: lora.Factors(base.layers, self.peft.rank, key),
      jax.random.key(0),
    )
    targets = axis_rules.shardings(factors, mesh)
    for attribute in lora.MATRICES:
      for factor, part in (('down', 'lora_A'), ('up', 'lora_B')):
        name = f'{attribute}_{factor}'
        param = getattr(factors, name)
        layers, *one = param.get_value().shape
        names = tuple(
          _factor(tensor_names.module(layer, attribute), part)
          for layer in range(layers)
        )
        tensors = tensor_names.Tensors(names, tuple(reversed(one)), True, True)
        sharding = getattr(targets, name).get_value()
        value = placement.place(
          self.stored, tensors, param.get_value(), sharding
        )
        if factor == 'up':
          value = value * self.peft.scale
        setattr(factors, name, param.replace(value))
    return factors

  def tables(
    self, base: decoder.Decoder, mesh: jax.sharding.Mesh
  ) -> tuple[Any, Any]:
    """The embedding and, unless tied, the unembedding."""
    like: nnx.Variable = base.embedding
    embedding = like
    if _EMBEDDING in self.stored:
      embedding = self._table(_EMBEDDING, like, mesh)
    if self.config.tied:
      return embedding, None
    if _UNEMBEDDING in self.stored:
      return embedding, self._table(_UNEMBEDDING, like, mesh)
    return embedding, like if base.unembedding is None else base.unembedding

  def _table(
    self, name: str, like: nnx.Variable, mesh: jax.sharding.Mesh
  ) -> nnx.Variable:
    """Reads the embedding or the unembedding, in the base's dtype."""
    shape, dtype = self.stored.shape(name), like.get_value().dtype
    param = like.replace(jax.ShapeDtypeStruct(shape, dtype))
    tensors = tensor_names.Tensors((name,), shape, False, False)
    sharding = axis_rules.shardings(param, mesh).get_value()
    return param.replace(
      placement.place(self.stored, tensors, param.get_value(), sharding)
    )

  def _check(self, base: config_lib.DecoderConfig) -> None:
    """Raises InputError unless the tensors are those of the configuration."""
    sizes = {
      tensors.names[0].removesuffix('.weight'): tensors
      for tensors, _ in tensor_names.parameters(decoder.abstract(base))
      if tensors.transposed
    }
    rank, known = self.peft.rank, {_EMBEDDING, _UNEMBEDDING}
    for first, tensors in sizes.items():
      rows, columns = tensors.shape
      for layer in range(base.layers):
        module = first.replace('.0.', f'.{layer}.', 1)
        if module not in self.peft.modules:
          continue
        for part, shape in (
          ('lora_A', (rank, columns)),
          ('lora_B', (rows, rank)),
        ):
          name = _factor(module, part)
          self.stored.expect(name, shape, peft_config.FILE)
          known.add(name)
    self.stored.expect_no_others(known, peft_config.FILE)
    for name, module in (
      (_EMBEDDING, 'embed_tokens'),
      (_UNEMBEDDING, 'lm_head'),
    ):
      if module in self.peft.saved or name in self.stored:
        shape = (self._vocabulary(base), base.width)
        self.stored.expect(name, shape, peft_config.FILE)

  def _vocabulary(self, base: config_lib.DecoderConfig) -> int:
    """Rows of the embedding; tokens may have been added, and then both go."""
    both = _UNEMBEDDING in self.stored or base.tied
    if _EMBEDDING in self.stored and both:
      return max(base.vocabulary, self.stored.shape(_EMBEDDING)[0])
    return base.vocabulary

  def _merged(self, base: config_lib.DecoderConfig) -> config_lib.DecoderConfig:
    """The configuration of the merged model."""
    left_behind = 'embed_tokens' in self.peft.saved and not self.peft.tying
    return dataclasses.replace(
      base,
      vocabulary=self._vocabulary(base),
      tied=base.tied and _UNEMBEDDING not in self.stored and not left_behind,
    )


def _factor(module: str, part: str) -> str:
  """The name of a factor's tensor."""
  return f'{_PREFIX}{module}.{part}.weight'


@jax.jit
def _merged_layers(
  layers: decoder.Layers, factors: lora.Factors
) -> decoder.Layers:
  return factors.merge(layers)
