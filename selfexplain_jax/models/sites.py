# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The table of sites: which tensors can be read and written, and their names.

`resid_post[i]` is the residual stream after block i (0-based) and equals
`hidden_states[i + 1]` of Hugging Face for every block but the last: there the
Hugging Face entry is taken after the final norm, which is our `final_norm`.

In Gemma 2 embeddings are scaled, and what attention and MLP give is normed
before it is added. `embed` is after the scale and `attn_out` and `mlp_out` are
after those norms, so that for every model the stream is the sum of them.
"""

import dataclasses

from selfexplain_jax import errors


@dataclasses.dataclass(frozen=True)
class Site:
  """One place in the forward pass; every site's tensor is [B, T, D].

  Attributes:
    name: what this project calls it.
    layered: whether each block has one; otherwise its only layer is 0.
    meaning: which tensor it is, relative to the additions of the block.
    transformer_lens: the alias in TransformerLens, with {i} for the layer.
    hugging_face: the same tensor in a `transformers` Llama or Qwen3 model; in
      Gemma 2 too, where `hugging_face_post_norms` does not say otherwise.
    hugging_face_post_norms: the same in a model with norms after attention and
      MLP, as Gemma 2; empty for no difference.
  """

  name: str
  layered: bool
  meaning: str
  transformer_lens: str
  hugging_face: str
  hugging_face_post_norms: str = ''

  @property
  def index(self) -> int:
    """The number that stands for the site in patch arrays."""
    return _NAMES.index(self.name)


SITES = (
  Site(
    'embed',
    False,
    'token embeddings, scaled if they are, before the first block',
    'hook_embed',
    'output of model.embed_tokens',
  ),
  Site(
    'resid_pre',
    True,
    'residual stream before the block',
    'blocks.{i}.hook_resid_pre',
    'hidden_states[i]',
  ),
  Site(
    'attn_out',
    True,
    'what attention adds, before it is added',
    'blocks.{i}.hook_attn_out',
    'output of model.layers[i].self_attn',
    'output of model.layers[i].post_attention_layernorm',
  ),
  Site(
    'resid_mid',
    True,
    'residual stream after attention is added',
    'blocks.{i}.hook_resid_mid',
    'input of model.layers[i].post_attention_layernorm',
    'input of model.layers[i].pre_feedforward_layernorm',
  ),
  Site(
    'mlp_out',
    True,
    'what the MLP adds, before it is added',
    'blocks.{i}.hook_mlp_out',
    'output of model.layers[i].mlp',
    'output of model.layers[i].post_feedforward_layernorm',
  ),
  Site(
    'resid_post',
    True,
    'residual stream after the block',
    'blocks.{i}.hook_resid_post',
    'hidden_states[i + 1], but for the last block: output of model.layers[i]',
  ),
  Site(
    'final_norm',
    False,
    'residual stream after the final norm, as the unembedding reads it',
    'ln_final.hook_normalized times its weight',
    'hidden_states[-1]',
  ),
)

_NAMES = tuple(site.name for site in SITES)


def site(name: str) -> Site:
  """Returns the site called `name`, or raises InputError naming the choices."""
  if name not in _NAMES:
    raise errors.InputError(
      f'unknown site {name!r}: expected one of {", ".join(_NAMES)}'
    )
  return SITES[_NAMES.index(name)]
