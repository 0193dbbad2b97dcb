# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The model that is explained."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

import jax
from treescope import repr_lib

from selfexplain_jax import estimate
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import tokenizer as tokenizer_lib


class Target:
  """The model that is explained; its weights are read once they are needed.

  So whatever only asks for sizes does so before anything is loaded.

  Attributes:
    config: its shape.
    tokenizer: its tokenizer.
    directory: where it is read from.
    mesh: what its weights are for; devices of it need not be there to tell how
      long work takes. None for those of this job.
  """

  def __init__(
    self,
    config: config_lib.DecoderConfig,
    tokenizer: tokenizer_lib.Tokenizer,
    directory: str,
    load: Callable[[], decoder.Decoder],
    hash_weights: Callable[[], str],
    mesh: mesh_lib.AnyMesh | None = None,
  ):
    """Takes what reads the weights, and what hashes them."""
    self.config, self.tokenizer, self.directory = config, tokenizer, directory
    self.mesh = mesh
    self._load, self._hash_weights = load, hash_weights

  @functools.cached_property
  def model(self) -> decoder.Decoder:
    """Its parameters."""
    return self._load()

  @functools.cached_property
  def weight_hash(self) -> str:
    """Digest of its weights, as they are stored."""
    return self._hash_weights()

  def minutes(self, tokens: float) -> float:
    """Returns how long it takes to run it on some tokens, roughly."""
    work = estimate.forward(self.config.weights, tokens)
    return estimate.minutes(work, self.mesh)

  def __treescope_repr__(self, path: str, subtree_renderer: Any) -> Any:
    """Shows a notebook what is there; weights once they are read."""
    shown = {'directory': self.directory, 'config': self.config}
    if 'model' in vars(self):
      shown['model'] = self.model
    return repr_lib.render_object_constructor(
      type(self), shown, path, subtree_renderer
    )

  @classmethod
  def of(
    cls,
    model: decoder.Decoder,
    tokenizer: tokenizer_lib.Tokenizer,
    directory: str,
    weight_hash: str,
  ) -> 'Target':
    """Returns a target whose weights are there already."""
    return cls(
      model.config, tokenizer, directory, lambda: model, lambda: weight_hash
    )


def open_target(
  directory: str,
  mesh: jax.sharding.Mesh,
  dtype: str = 'float32',
  planned: mesh_lib.AnyMesh | None = None,
) -> Target:
  """Opens a model's directory as a target.

  Args:
    directory: of the model.
    mesh: where its parameters go.
    dtype: of activations and parameters.
    planned: what work is told for, if not for that mesh.

  Raises:
    errors.InputError: if the directory holds no model; and once the weights
      are read, if they are not what the configuration says.
  """
  config = dataclasses.replace(
    huggingface.read_config(directory), dtype=dtype, parameter_dtype=dtype
  )
  return Target(
    config,
    artefact.load_tokenizer(directory),
    directory,
    lambda: artefact.load(directory, mesh, dtype)[0],
    lambda: huggingface.weight_hash(directory),
    planned or mesh,
  )
