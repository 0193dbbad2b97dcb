# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Injection: an activation in the place of one token of an explainer's input.

Vectors are stored raw, and projected and scaled only here (method B.1, G.2).
"""

from collections.abc import Mapping
import dataclasses
import functools

from flax import nnx
import jax
import jax.numpy as jnp
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import hosts
from selfexplain_jax.explainer import layer_blocks as layer_blocks_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import taps

MODES = (
  'replace_embedding',
  'replace_embedding_scaled',
  'add_norm_matched',
  'scale_and_bias',
)

# Of each parameter; the first axis counts the target's layer blocks.
_AXES: dict[str, tuple[str | None, ...]] = {
  'scale': ('layers',),
  'bias': ('layers', 'width'),
  'projection': ('layers', 'width', None),
}

# Rows of an embedding that are fetched at a time.
_ROWS = 16384

_TINY = 1e-24  # Below every squared norm of a vector; a zero one stays zero.


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=tuple(_AXES),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Parameters:
  """What is learnt about vectors, float32; None for what the mode lacks.

  Attributes:
    scale: [C], of each layer block of the target.
    bias: [C, E].
    projection: [C, E, D], from the target's width to the explainer's.
  """

  scale: nnx.Param | None = None
  bias: nnx.Param | None = None
  projection: nnx.Param | None = None

  def arrays(self) -> dict[str, jax.Array]:
    """The parameters that there are, by name."""
    found = {name: getattr(self, name) for name in _AXES}
    return {n: p.get_value() for n, p in found.items() if p is not None}


NO_PARAMETERS = Parameters()


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('norm', 'parameters'),
  meta_fields=('mode', 'vector_id', 'block', 'layer_blocks'),
)
@dataclasses.dataclass(frozen=True)
class Injection:
  """How vectors enter.

  Attributes:
    mode: `replace_embedding`, raw as in the paper;
      `replace_embedding_scaled`, every vector rescaled to `norm`;
      `add_norm_matched`, added to what block `block` puts out, with the norm
      that the residual stream has there (Activation Oracles); or
      `scale_and_bias`, scale * v / |v| + bias in the place of the embedding,
      both learnt for each layer block (SelfIE adapters, method G.3).
    vector_id: the token whose embedding or residual stream gets the vector.
    norm: the mean embedding norm of the initial explainer.
    block: for `add_norm_matched`, after which block, from 0.
    layer_blocks: which of the parameters belong to which vector.
    parameters: what is learnt; a training state has its own.
  """

  mode: str
  vector_id: int
  norm: float
  block: int = 0
  layer_blocks: layer_blocks_lib.LayerBlocks = layer_blocks_lib.LayerBlocks()
  parameters: Parameters = NO_PARAMETERS

  def with_parameters(self, parameters: Parameters) -> 'Injection':
    """Returns the injection with other parameters."""
    return dataclasses.replace(self, parameters=parameters)


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('direction', 'block'),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class _Addition:
  """A tap that adds directions to the residual stream after one block.

  Attributes:
    direction: [B, T, E], of norm 1; 0 where nothing is added.
    block: i32[], after which block.
  """

  direction: jax.Array
  block: jax.Array

  def start(self, tokens_BxT: jax.Array) -> None:
    """Keeps no state."""

  def visit(
    self, state: None, site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[None, jax.Array]:
    """Adds at the one site and block."""
    if site != 'resid_post':
      return state, value
    length = _length(value.astype(jnp.float32))
    here = (layer == self.block).astype(jnp.float32)
    added = self.direction * length * here
    return state, value + added.astype(value.dtype)


def check(mode: str, block: int, layers: int) -> None:
  """Checks how vectors are to enter an explainer of so many layers.

  Raises:
    errors.InputError: for an unknown mode, or a block that it lacks.
  """
  if mode not in MODES:
    raise errors.InputError(
      f'unknown injection mode {mode!r}: expected one of {", ".join(MODES)}'
    )
  if not 0 <= block < layers:
    raise errors.InputError(
      f'injection after block {block}: expected 0 to {layers - 1}, the blocks '
      'of the explainer'
    )


def make(
  mode: str,
  model: decoder.Decoder,
  vector_id: int,
  block: int = 0,
  layer_blocks: layer_blocks_lib.LayerBlocks | None = None,
  projection_CxExD: np.ndarray | None = None,
) -> Injection:
  """Returns the injection for an explainer that starts from `model`.

  The scale starts at the mean embedding norm and the bias at 0, so that
  `scale_and_bias` begins as `replace_embedding_scaled`.

  Args:
    mode: one of `MODES`.
    model: the initial explainer.
    vector_id: the vector token.
    block: of the explainer, for `add_norm_matched`.
    layer_blocks: of the target, where its parameters differ between them; one
      set of parameters for all vectors if None.
    projection_CxExD: where the projections start; None for no projection.

  Raises:
    errors.InputError: for an unknown mode, or a block that the model lacks.
  """
  check(mode, block, model.config.layers)
  norm = _mean_norm(model.embedding[...])
  norm *= decoder.embedding_scale(model.config)
  blocks = layer_blocks or layer_blocks_lib.LayerBlocks()
  values = {}
  if mode == 'scale_and_bias':
    values['scale'] = np.full(blocks.count, norm)
    values['bias'] = np.zeros((blocks.count, model.config.width))
  if projection_CxExD is not None:
    values['projection'] = projection_CxExD
  if not values:  # Nothing that differs between layer blocks.
    return Injection(mode, vector_id, norm, block)
  return Injection(mode, vector_id, norm, block, blocks, place(values))


def _mean_norm(table_VxD: jax.Array) -> float:
  """The mean norm of an embedding's rows, in float64, a part at a time."""
  norms = []
  for start in range(0, len(table_VxD), _ROWS):
    rows = hosts.fetch(table_VxD[start : start + _ROWS]).astype(np.float64)
    norms.append(np.linalg.norm(rows, axis=1))
  return float(np.mean(np.concatenate(norms)))


def shapes(
  mode: str,
  layer_blocks: layer_blocks_lib.LayerBlocks,
  width: int,
  target_width: int | None,
) -> dict[str, tuple[int, ...]]:
  """Shapes of the parameters by name.

  Args:
    mode: one of `MODES`.
    layer_blocks: of the target.
    width: of the explainer.
    target_width: width of vectors that are projected; None for no projection.
  """
  found: dict[str, tuple[int, ...]] = {}
  if mode == 'scale_and_bias':
    found['scale'] = (layer_blocks.count,)
    found['bias'] = (layer_blocks.count, width)
  if target_width is not None:
    found['projection'] = (layer_blocks.count, width, target_width)
  return found


def place(values: Mapping[str, np.ndarray]) -> Parameters:
  """Returns parameters of these values, sharded over the mesh that is set."""
  params = {
    name: nnx.Param(jnp.asarray(value, jnp.float32), axes=_AXES[name])
    for name, value in values.items()
  }
  return jax.jit(axis_rules.constrain_parameters)(Parameters(**params))


def _length(x: jax.Array) -> jax.Array:
  """The norm over the last axis, kept as an axis; never quite 0."""
  return jnp.sqrt(jnp.sum(x * x, -1, keepdims=True) + _TINY)


def _ready(
  injection: Injection, vectors_BxKxD: jax.Array, blocks_BxK: jax.Array
) -> jax.Array:
  """Projects and scales vectors as the mode has it, [B, K, E]."""
  learnt, shown = injection.parameters, vectors_BxKxD
  if learnt.projection is not None:
    # One product for all blocks, in which a vector meets the matrix of its own:
    # gathering a matrix for each vector would take far more memory.
    own = jax.nn.one_hot(blocks_BxK, injection.layer_blocks.count)
    placed = own[..., None] * shown[:, :, None]
    shown = jnp.einsum('bkcd,ced->bke', placed, learnt.projection[...])
  if injection.mode == 'replace_embedding':
    return shown
  direction = shown / _length(shown)
  if injection.mode == 'replace_embedding_scaled':
    return direction * injection.norm
  if learnt.scale is not None and learnt.bias is not None:
    scale = learnt.scale[...][blocks_BxK]
    # A vector for each layer block: no matter to have whole.
    bias = axis_rules.constrain(learnt.bias[...], None, None)
    return direction * scale[..., None] + bias[blocks_BxK]
  return direction


def inject(
  model: decoder.Decoder,
  injection: Injection,
  tokens_BxT: jax.Array,
  vectors_BxKxD: jax.Array,
  blocks_BxK: jax.Array | None = None,
) -> tuple[jax.Array, taps.Tap | None]:
  """Shows vectors: the k-th vector token of a row gets the row's k-th vector.

  Every row must have at most K vector tokens; `data.questions` counted them.

  Args:
    model: the explainer.
    injection: how vectors enter.
    tokens_BxT: i32 token ids.
    vectors_BxKxD: raw vectors, D wide; rows may have fewer vector tokens.
    blocks_BxK: i32, the id of each vector's layer block; may be None where
      there is but one.

  Returns:
    Embeddings [B, T, E] in the model's dtype, and a tap; both go to
    `decoder.forward`, or to `generate.generate`.
  """
  x = decoder.embed(model, tokens_BxT)
  if not vectors_BxKxD.shape[1]:
    return x, None
  if blocks_BxK is None:
    if injection.layer_blocks.count > 1:
      raise ValueError('vectors come without the ids of their layer blocks')
    blocks_BxK = jnp.zeros(vectors_BxKxD.shape[:2], jnp.int32)
  here = tokens_BxT == injection.vector_id
  which = jnp.maximum(jnp.cumsum(here, 1) - 1, 0)
  ready = _ready(injection, vectors_BxKxD, blocks_BxK)
  ready = axis_rules.constrain(ready, 'batch', None, 'activation_width')
  shown = jnp.take_along_axis(ready, which[..., None], 1)
  if injection.mode != 'add_norm_matched':
    return jnp.where(here[..., None], shown.astype(x.dtype), x), None
  return x, _Addition(
    jnp.where(here[..., None], shown, 0.0),
    jnp.asarray(injection.block, jnp.int32),
  )
