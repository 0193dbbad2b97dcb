# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Which tensors of a Hugging Face directory a parameter is stored in.

Their matrices are [out, in] and there is one a layer; ours are [in, out] and
stacked over layers.
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

from flax import nnx
import jax

from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder

# Attribute of Decoder: tensor name.
NAMES = {
  'embedding': 'model.embed_tokens.weight',
  'final_norm': 'model.norm.weight',
  'unembedding': 'lm_head.weight',
}

# Attribute of Layers that is a matrix: name of its module after the layer's.
MODULES = {
  'query': 'self_attn.q_proj',
  'key': 'self_attn.k_proj',
  'value': 'self_attn.v_proj',
  'output': 'self_attn.o_proj',
  'gate': 'mlp.gate_proj',
  'up': 'mlp.up_proj',
  'down': 'mlp.down_proj',
}

_NORMS = {
  'attention_norm': 'input_layernorm',
  'query_norm': 'self_attn.q_norm',
  'key_norm': 'self_attn.k_norm',
  'mlp_norm': 'post_attention_layernorm',
}

# Where Gemma 2, which norms what is added too, has other names.
_POST_NORMS = {
  'attention_post_norm': 'post_attention_layernorm',
  'mlp_norm': 'pre_feedforward_layernorm',
  'mlp_post_norm': 'post_feedforward_layernorm',
}


@dataclasses.dataclass(frozen=True)
class Tensors:
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


def module(layer: int, attribute: str) -> str:
  """Returns the full name of the module that a matrix is the weight of."""
  return f'model.layers.{layer}.{MODULES[attribute]}'


def parameters(model: decoder.Decoder) -> Iterator[tuple[Tensors, Any]]:
  """Yields every parameter of a decoder, abstract or not, and where it is."""
  for path, param in jax.tree_util.tree_leaves_with_path(
    model, is_leaf=is_param
  ):
    yield find(model.config, path, param), param


def find(
  config: config_lib.DecoderConfig, path: Any, param: nnx.Variable
) -> Tensors:
  """Looks up a parameter by its path in the module."""
  attribute, shape = path[-1].name, tuple(param.get_value().shape)
  if path[0].name != 'layers':
    return Tensors((NAMES[attribute],), shape, False, False)
  layers, *one = shape
  own = _POST_NORMS if config.post_norms else {}
  suffix = {**MODULES, **_NORMS, **own}[attribute]
  names = tuple(f'model.layers.{i}.{suffix}.weight' for i in range(layers))
  return Tensors(names, tuple(reversed(one)), True, len(one) == 2)


def is_param(leaf: Any) -> bool:
  """Whether a node of a module's tree is one of its parameters."""
  return isinstance(leaf, nnx.Variable)
