# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The shape of a decoder: everything that the architecture leaves open."""

import dataclasses

from selfexplain_jax import errors

ACTIVATIONS = ('silu', 'gelu_tanh')

# What of a block is kept for the backward pass: nothing; the products with its
# matrices; all of it.
REMATS = ('full', 'products', 'none')

# Written out, or as a kernel of the platform: see `models.fused_attention`.
ATTENTIONS = ('plain', 'splash', 'cudnn')

_DTYPES = ('float32', 'bfloat16', 'float16')


@dataclasses.dataclass(frozen=True)
class RopeScaling:
  """Llama-3 frequency scaling of the rotary embedding.

  Wavelengths above `original_positions / low_frequency_factor` are stretched
  by `factor`, those below `original_positions / high_frequency_factor` are
  kept, and those between are blended.
  """

  factor: float
  low_frequency_factor: float
  high_frequency_factor: float
  original_positions: int


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
  """A decoder-only transformer of the Llama, Qwen3 and Gemma 2 families.

  Attributes:
    vocabulary: number of rows of the embedding, V.
    width: width of the residual stream, D.
    layers: number of blocks, L.
    heads: query heads, H.
    kv_heads: key and value heads; divides `heads`.
    head_width: width of one head; even.
    mlp_width: width of the gated MLP.
    rope_theta: base of the rotary frequencies.
    rope_scaling: Llama-3 scaling, or None for plain rotary embedding.
    norm_epsilon: added to the mean square in every RMSNorm.
    norm_offset: norms store their gain less 1, as in Gemma.
    query_key_norm: RMSNorm on each query and key head, as in Qwen3.
    post_norms: RMSNorm on what attention and MLP add, as in Gemma 2.
    activation: of the MLP's gate; one of `ACTIVATIONS`.
    embedding_scaled: embeddings are multiplied by the root of `width`.
    query_scale: scores are divided by its root; by that of `head_width` if
      None.
    score_cap: bound of the soft cap on attention scores; None for no cap.
    logit_cap: the same of the logits.
    windows: of each layer, how many positions one attends to, its own counted;
      0 for all before it. Empty if that is so in every layer.
    tied: the unembedding is the transposed embedding.
    max_positions: longest sequence that the model was made for.
    dtype: of activations; norms, softmax, rotary and logits are float32.
    parameter_dtype: of the weights in memory.
    remat: how much of a block the backward pass computes again; one of
      `REMATS`. It changes no values.
    attention: how it is computed; one of `ATTENTIONS`.
  """

  vocabulary: int
  width: int
  layers: int
  heads: int
  kv_heads: int
  head_width: int
  mlp_width: int
  rope_theta: float = 10_000.0
  rope_scaling: RopeScaling | None = None
  norm_epsilon: float = 1e-5
  norm_offset: bool = False
  query_key_norm: bool = False
  post_norms: bool = False
  activation: str = 'silu'
  embedding_scaled: bool = False
  query_scale: float | None = None
  score_cap: float | None = None
  logit_cap: float | None = None
  windows: tuple[int, ...] = ()
  tied: bool = True
  max_positions: int = 2048
  dtype: str = 'float32'
  parameter_dtype: str = 'float32'
  remat: str = 'full'
  attention: str = 'plain'

  def __post_init__(self):
    """Raises `errors.InputError` if the numbers do not fit together."""
    for name in (
      'vocabulary',
      'width',
      'layers',
      'heads',
      'kv_heads',
      'head_width',
      'mlp_width',
    ):
      if getattr(self, name) < 1:
        raise errors.InputError(
          f'model has {name}={getattr(self, name)}: expected at least 1'
        )
    for name, choices in (
      ('dtype', _DTYPES),
      ('parameter_dtype', _DTYPES),
      ('activation', ACTIVATIONS),
      ('remat', REMATS),
      ('attention', ATTENTIONS),
    ):
      if getattr(self, name) not in choices:
        raise errors.InputError(
          f'model has {name}={getattr(self, name)}: expected one of '
          f'{", ".join(choices)}'
        )
    for name in ('query_scale', 'score_cap', 'logit_cap'):
      value = getattr(self, name)
      if value is not None and not value > 0:
        raise errors.InputError(
          f'model has {name}={value}: expected a positive number'
        )
    if self.heads % self.kv_heads:
      raise errors.InputError(
        f'model has heads={self.heads}: expected a multiple of '
        f'kv_heads={self.kv_heads}'
      )
    if self.head_width % 2:
      raise errors.InputError(
        f'model has head_width={self.head_width}: expected an even number'
      )
    if self.windows and (
      len(self.windows) != self.layers or min(self.windows) < 0
    ):
      raise errors.InputError(
        f'model has windows={self.windows}: expected none, or one of at least '
        f'0 for each of the {self.layers} layers'
      )

  @property
  def weights(self) -> int:
    """Weights that a token is multiplied with: the work of a forward pass.

    Norms are left out, and so is an embedding that is not the unembedding too.
    """
    attention = 2 * self.width * self.head_width * (self.heads + self.kv_heads)
    block = attention + 3 * self.width * self.mlp_width
    return self.layers * block + self.vocabulary * self.width
