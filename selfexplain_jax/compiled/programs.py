# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The programs of the stages, with arguments that are not there.

They are the very functions that the binaries run.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any

from flax import nnx
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from selfexplain_jax import errors
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.dictionary import training as dictionary_training
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.interventions import run as run_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import flops
from selfexplain_jax.models import lora
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib

_VECTOR_ID, _END_ID = 7, 2  # Any tokens.


@dataclasses.dataclass(frozen=True)
class Program:
  """A program, and what it is expected to take.

  Attributes:
    lower: lowers it, to be compiled.
    unit: what it works on, in the plural.
    count: how many of these in a run, over all chips.
    operations: of matrix products in a run, over all chips, by formula; what is
      computed again is counted.
    arguments: of the program, abstract, with their shardings.
    trips: how often loops run whose number is an argument.
  """

  lower: Callable[[], jax.stages.Lowered]
  unit: str
  count: int
  operations: float
  arguments: Any
  trips: int = 1


def program(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """Returns the program of `config.stage`.

  Args:
    config: as `experiments/compile_check.py` has it.
    shape: of the model.
    mesh: of any chips; abstract, it cannot be lowered.

  Raises:
    errors.InputError: if there is no such stage.
  """
  stages: dict[str, Callable[..., Program]] = {
    'full': _train,
    'lora': _train,
    'capture': _capture,
    'patch': _patch,
    'decode': _decode,
    'dictionary': _dictionary,
  }
  if config.stage not in stages:
    raise errors.InputError(
      f'config.stage is {config.stage!r}: expected one of {", ".join(stages)}'
    )
  # Nothing that is traced may be on the chips: the mesh is one of shapes.
  abstract = mesh.abstract_mesh
  with jax.sharding.use_abstract_mesh(abstract):
    made = stages[config.stage](config, shape, mesh)

  def lower() -> jax.stages.Lowered:
    with jax.sharding.use_abstract_mesh(abstract):
      return made.lower()

  return dataclasses.replace(made, lower=lower)


def placed(tree: Any, mesh: mesh_lib.AnyMesh) -> Any:
  """Returns an abstract tree with the shardings of `axis_rules`.

  Parameters are split as their axes say, dictionaries too, and other arrays are
  whole on every chip.
  """

  def one(leaf: Any) -> Any:
    if isinstance(leaf, sae_lib.SparseAutoencoder):
      fields: dict[str, Any] = {
        name: _array(getattr(leaf, name), ('layers', *axes), mesh)
        for name, axes in sae_lib.AXES.items()
      }
      return sae_lib.SparseAutoencoder(**fields, k=leaf.k)
    if not isinstance(leaf, nnx.Variable):
      return _array(leaf, (None,) * leaf.ndim, mesh)
    value = leaf.get_value()
    if not hasattr(value, 'shape'):  # Where an optimizer keeps nothing.
      return leaf
    return leaf.replace(_array(value, leaf.axes, mesh))

  kinds = (nnx.Variable, sae_lib.SparseAutoencoder)
  return jax.tree.map(one, tree, is_leaf=lambda x: isinstance(x, kinds))


def _array(
  like: Any, axes: tuple[str | None, ...], mesh: mesh_lib.AnyMesh
) -> jax.ShapeDtypeStruct:
  sharding = axis_rules.sharding(axes, like.shape, mesh)
  return jax.ShapeDtypeStruct(like.shape, like.dtype, sharding=sharding)


def _rows(shape: tuple[int, ...], dtype: Any, mesh: mesh_lib.AnyMesh) -> Any:
  """Fields of a batch, split over the devices."""
  axes = ('batch', *(None,) * (len(shape) - 1))
  return _array(jax.ShapeDtypeStruct(shape, dtype), axes, mesh)


def _same(shape: tuple[int, ...], dtype: Any, mesh: mesh_lib.AnyMesh) -> Any:
  """An array that comes from the host, whole on every device."""
  return _array(jax.ShapeDtypeStruct(shape, dtype), (None,) * len(shape), mesh)


def _train(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """The step of an explainer's training, of all weights or of an adapter."""
  rank = config.lora_rank if config.stage == 'lora' else 0
  shape = dataclasses.replace(
    shape,
    remat=config.remat,
    parameter_dtype=shape.dtype if rank else 'float32',
  )
  model = decoder.abstract(shape)
  trained: decoder.Decoder | lora.Lora = model
  base = None
  if rank:
    trained, base = lora.abstract(model, rank, False), placed(model, mesh)
  injection = injection_lib.Injection('replace_embedding', _VECTOR_ID, 1.0)
  optimizer = optimizer_lib.make(config.optimizer, 1000)
  state = jax.eval_shape(
    lambda m: state_lib.TrainState(m, optimizer.init(m)),
    train_step.Trained(trained, injection.parameters),
  )
  rows, length = config.rows_per_chip * mesh.size, config.length
  whole = functools.partial(_rows, mesh=mesh)
  batch = {
    **{
      name: whole((rows, length), jnp.int32)
      for name in ('tokens', 'segments', 'positions')
    },
    'answers': whole((rows, config.answers), jnp.int32),
    'vectors': whole((rows, config.vectors, shape.width), jnp.float32),
    'vector_blocks': whole((rows, config.vectors), jnp.int32),
  }
  step: Any = train_step.make_step(
    optimizer, injection, 0.0, base, config.accumulate
  )
  operations = flops.training(
    shape, rows, length, rank, causal=False, answers=rows * config.answers
  )
  if shape.remat == 'full':
    operations += flops.again(shape, rows, length)
    if rank:
      operations += flops.factors(shape, rank, rows * length)
  arguments = (placed(state, mesh), batch, base)
  lower = functools.partial(step.func.lower, *arguments[:2], base=base)
  return Program(lower, 'tokens', rows * length, operations, arguments)


def _capture(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """A forward pass that reads activations of all layers."""
  rows, length = config.rows_per_chip * mesh.size, config.length
  whole = functools.partial(_same, mesh=mesh)
  positions = np.zeros((rows, config.positions), np.int32)
  every = tuple(range(shape.layers))
  capture = jax.eval_shape(
    lambda: capture_lib.build(shape, ('resid_post',), every, positions)
  )
  arguments = (
    placed(decoder.abstract(shape), mesh),
    whole((rows, length), jnp.int32),
    jax.tree.map(lambda x: whole(x.shape, x.dtype), capture),
  )
  operations = flops.blocks(shape, rows, length, causal=False)
  lower = functools.partial(capture_lib.run.lower, *arguments)
  return Program(lower, 'prompts', rows, operations, arguments, shape.layers)


def _patch(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """A forward pass that patches one cell a row."""
  rows, length = config.rows_per_chip * mesh.size, config.length
  whole = functools.partial(_same, mesh=mesh)
  one = np.zeros((1, 1), np.int32)
  vector = np.zeros((1, 1, shape.width), np.float32)
  patches = jax.eval_shape(
    lambda: patch_lib.build('resid_post', one, one, one, vector)
  )
  arguments = (
    placed(decoder.abstract(shape), mesh),
    whole((rows, length), jnp.int32),
    whole((rows,), jnp.int32),
    jax.tree.map(lambda x: whole((rows, *x.shape[1:]), x.dtype), patches),
  )
  operations = flops.blocks(shape, rows, length, causal=False)
  operations += flops.logits(shape, rows)
  lower = functools.partial(run_lib.run.lower, *arguments)
  return Program(lower, 'cells', rows, operations, arguments)


def _decode(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """Answers to questions that show vectors, all as long as they may be."""
  rows, length = config.rows_per_chip * mesh.size, config.length
  injection = injection_lib.Injection('replace_embedding', _VECTOR_ID, 1.0)
  whole = functools.partial(_same, mesh=mesh)
  arguments = (
    placed(decoder.abstract(shape), mesh),
    injection,
    whole((rows, length), jnp.int32),
    whole((rows,), jnp.int32),
    whole((rows, config.vectors, shape.width), jnp.float32),
    whole((rows, config.vectors), jnp.int32),
  )
  lower = functools.partial(
    answering.answer.lower, *arguments, config.new_tokens, _END_ID
  )
  new = rows * config.new_tokens
  cache = length + config.new_tokens
  weights = shape.weights - shape.vocabulary * shape.width
  attention = 4 * shape.layers * shape.heads * shape.head_width * cache
  operations = flops.prompts(shape, rows, length)
  operations += new * (2 * weights + attention)
  operations += flops.logits(shape, rows + new)
  return Program(lower, 'answers', rows, operations, arguments)


def _dictionary(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  mesh: mesh_lib.AnyMesh,
) -> Program:
  """The step of a dictionary's training, the search for dead features too."""
  settings = dictionary_training.Settings(**config.dictionary)
  optimizer = optax.adam(1e-3)
  layers, rows = config.dictionary_layers, config.rows_per_chip * mesh.size
  sample = jax.ShapeDtypeStruct((2048, layers, shape.width), jnp.float32)
  state = jax.eval_shape(
    lambda x, key: dictionary_training.start(x, settings, optimizer, key),
    sample,
    jax.random.key(0),
  )
  arguments = (
    placed(state, mesh),
    _rows((rows, layers, shape.width), jnp.float32, mesh),
  )
  step: Any = dictionary_training.make_step(optimizer, settings)
  # Encoding and decoding, and gradients of both weights and of features; the
  # dead ones are decoded once more, with the same gradients.
  size = shape.width * settings.features
  operations = 2.0 * size * rows * layers * (2 + 3 + 4)
  lower = functools.partial(step.lower, *arguments)
  return Program(lower, 'rows', rows, operations, arguments)
