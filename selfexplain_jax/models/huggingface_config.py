# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""`config.json` of a Hugging Face directory, read strictly and written back."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import attributes
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface_rope

FILE = 'config.json'

_DTYPES = ('float32', 'bfloat16', 'float16')


@dataclasses.dataclass(frozen=True)
class _Family:
  """What a `model_type` stands for.

  Attributes:
    architecture: the class of its causal language model.
    traits: fields of DecoderConfig that all its models have in common.
    activations: attributes that name the activation; the first is written.
    activation: the name they give it.
    tied: whether embeddings are tied where `tie_word_embeddings` is absent.
    own: attributes that other families do not have.
  """

  architecture: str
  traits: Mapping[str, Any]
  activations: tuple[str, ...] = ('hidden_act',)
  activation: str = 'silu'
  tied: bool = False
  own: tuple[str, ...] = ()


_PLAIN = dict(
  norm_offset=False,
  query_key_norm=False,
  post_norms=False,
  activation='silu',
  embedding_scaled=False,
)

_FAMILIES = {
  'llama': _Family('LlamaForCausalLM', _PLAIN),
  'qwen3': _Family('Qwen3ForCausalLM', {**_PLAIN, 'query_key_norm': True}),
  'gemma2': _Family(
    'Gemma2ForCausalLM',
    dict(
      norm_offset=True,
      query_key_norm=False,
      post_norms=True,
      activation='gelu_tanh',
      embedding_scaled=True,
    ),
    activations=('hidden_activation', 'hidden_act'),
    activation='gelu_pytorch_tanh',
    tied=True,
    own=(
      'attn_logit_softcapping',
      'final_logit_softcapping',
      'query_pre_attn_scalar',
      'sliding_window',
      'sliding_window_size',
    ),
  ),
}

# Field of DecoderConfig: attribute of config.json.
_INTEGERS = {
  'vocabulary': 'vocab_size',
  'width': 'hidden_size',
  'layers': 'num_hidden_layers',
  'heads': 'num_attention_heads',
  'kv_heads': 'num_key_value_heads',
  'head_width': 'head_dim',
  'mlp_width': 'intermediate_size',
  'max_positions': 'max_position_embeddings',
}

# Fields that Gemma 2 alone has, and where they are null for none.
_GEMMA = {
  'query_scale': 'query_pre_attn_scalar',
  'score_cap': 'attn_logit_softcapping',
  'logit_cap': 'final_logit_softcapping',
}

# Attributes that decide nothing, given the values that are expected of them.
_EXPECTED: dict[str, tuple[Any, ...]] = {
  'attention_bias': (False,),
  'attention_dropout': (0, None),
  'is_encoder_decoder': (False,),
  'mlp_bias': (False,),
  'pretraining_tp': (1,),
  'use_bidirectional_attention': (None, False),
  'use_sliding_window': (False,),
}

_UNDERSTOOD = {
  *_INTEGERS.values(),
  *huggingface_rope.ATTRIBUTES,
  'bos_token_id',
  'dtype',
  'eos_token_id',
  'layer_types',
  'model_type',
  'rms_norm_eps',
  'tie_word_embeddings',
  'torch_dtype',
}

_IGNORED = {
  '_attn_implementation_autoset',
  '_name_or_path',
  'architectures',
  'cache_implementation',
  'chunk_size_feed_forward',
  'id2label',
  'initializer_range',
  'label2id',
  'max_window_layers',
  'output_attentions',
  'output_hidden_states',
  'pad_token_id',
  'problem_type',
  'return_dict',
  'transformers_version',
  'unsloth_fixed',
  'unsloth_version',
  'use_cache',
}

_FULL, _SLIDING = 'full_attention', 'sliding_attention'


def read_config(directory: files.PathLike) -> config_lib.DecoderConfig:
  """Reads the configuration of a Llama, Qwen3 or Gemma 2 directory.

  Both dtypes are the stored one (`dtype`, or `torch_dtype` before
  transformers 5), float32 where none is named.

  Raises:
    errors.InputError: naming the attribute, the file and what was expected.
  """
  raw, where = _read(directory)
  kind = raw.get('model_type')
  if kind not in _FAMILIES:
    attributes.refuse(where, 'model_type', kind, ' or '.join(_FAMILIES))
  family = _FAMILIES[kind]
  expected = {
    **_EXPECTED,
    **dict.fromkeys(family.activations, (family.activation,)),
  }
  if 'sliding_window' not in family.own:
    expected['sliding_window'] = (None,)
  known = _UNDERSTOOD | _IGNORED | {*family.own}
  attributes.check(raw, where, known, expected)
  tied = raw.get('tie_word_embeddings', family.tied)
  if not isinstance(tied, bool):
    attributes.refuse(where, 'tie_word_embeddings', tied, 'true or false')
  dtype = raw.get('dtype') or raw.get('torch_dtype') or 'float32'
  if dtype not in _DTYPES:
    attributes.refuse(where, 'dtype', dtype, ', '.join(_DTYPES))
  theta, scaling = huggingface_rope.read(raw, where)
  sizes: dict[str, Any] = _integers(raw, where)
  epsilon = attributes.number(raw, 'rms_norm_eps', where)
  own: dict[str, Any] = {
    field: _number_or_null(raw, name, where)
    for field, name in _GEMMA.items()
    if name in family.own
  }
  if own.get('query_scale') == sizes['head_width']:
    own['query_scale'] = None  # The same in the words of other families.
  try:
    return config_lib.DecoderConfig(
      **sizes,
      **family.traits,
      **own,
      windows=_windows(raw, sizes['layers'], family, where),
      rope_theta=theta,
      rope_scaling=scaling,
      norm_epsilon=epsilon,
      tied=tied,
      dtype=dtype,
      parameter_dtype=dtype,
    )
  except errors.InputError as e:
    raise errors.InputError(f'{where}: {e}') from e


def read_token_ids(directory: files.PathLike) -> tuple[int | None, int]:
  """Reads the ids of the beginning-of-sequence and the end token.

  Returns:
    The first id, None where the model has none, and the end id; of several end
    ids, as chat models have, the first.

  Raises:
    errors.InputError: if `eos_token_id` is absent or either is no token id.
  """
  raw, where = _read(directory)
  bos: Any = raw.get('bos_token_id')
  eos: Any = raw.get('eos_token_id')
  if isinstance(eos, list) and eos:
    eos = eos[0]
  if not attributes.is_integer(eos):
    attributes.refuse(where, 'eos_token_id', eos, 'a token id')
  if bos is not None and not attributes.is_integer(bos):
    attributes.refuse(where, 'bos_token_id', bos, 'a token id or null')
  return bos, eos


def write_config(
  config: config_lib.DecoderConfig,
  directory: files.PathLike,
  bos_id: int | None = None,
  eos_id: int | None = None,
) -> None:
  """Writes `config.json`, readable by transformers 4 and 5.

  Args:
    config: the configuration; `parameter_dtype` is the stored one.
    directory: where to.
    bos_id: the beginning-of-sequence token.
    eos_id: the end token; without it `read_token_ids` refuses the directory.

  Raises:
    errors.InputError: if the configuration is that of no family.
  """
  kind = check(config)
  family = _FAMILIES[kind]
  content = {
    'architectures': [family.architecture],
    'attention_bias': False,
    'bos_token_id': bos_id,
    'dtype': config.parameter_dtype,
    'eos_token_id': eos_id,
    family.activations[0]: family.activation,
    'model_type': kind,
    'rms_norm_eps': config.norm_epsilon,
    'tie_word_embeddings': config.tied,
    'torch_dtype': config.parameter_dtype,
    **huggingface_rope.write(config),
  }
  for field, attribute in _INTEGERS.items():
    content[attribute] = getattr(config, field)
  if kind == 'gemma2':
    windows = config.windows or (0,) * config.layers
    content['sliding_window'] = max(windows) or None
    content['layer_types'] = [_SLIDING if w else _FULL for w in windows]
    for field, attribute in _GEMMA.items():
      content[attribute] = getattr(config, field)
    content['query_pre_attn_scalar'] = _whole(
      config.query_scale or config.head_width
    )
  files.write_json(files.path(directory) / FILE, content)


def check(config: config_lib.DecoderConfig) -> str:
  """Returns the `model_type` of a configuration.

  Raises:
    errors.InputError: if it is that of no family, and so cannot be written.
  """
  for kind, family in _FAMILIES.items():
    common = all(getattr(config, f) == v for f, v in family.traits.items())
    bare = not config.windows and not any(getattr(config, f) for f in _GEMMA)
    one_window = len({*config.windows} - {0}) <= 1
    if common and (bare or (family.own and one_window)):
      return kind
  raise errors.InputError(
    f'cannot write {config} as a {FILE}: expected the traits of one family of '
    f'{", ".join(_FAMILIES)}'
  )


def _read(directory: files.PathLike) -> tuple[dict[str, Any], str]:
  """Returns the contents of `config.json` and its path, for messages."""
  source = files.path(hub.local(directory)) / FILE
  return attributes.read(source, 'model configuration'), str(source)


def _integers(raw: Mapping[str, Any], where: str) -> dict[str, int]:
  """The integer fields; Llama alone may leave two of them to be derived."""
  values: dict[str, Any] = {
    field: raw.get(name) for field, name in _INTEGERS.items()
  }
  width, heads = values['width'], values['heads']
  if raw['model_type'] == 'llama' and attributes.is_integer(width) and heads:
    values['kv_heads'] = values['kv_heads'] or heads
    values['head_width'] = values['head_width'] or width // heads
  for field, name in _INTEGERS.items():
    if not attributes.is_integer(values[field]) or values[field] < 1:
      attributes.refuse(where, name, values[field], 'a positive integer')
  return values


def _number_or_null(
  raw: Mapping[str, Any], name: str, where: str
) -> float | None:
  """A number or null, which must be there: absent it would be a default."""
  if name in raw and raw[name] is None:
    return None
  return attributes.number(raw, name, where)


def _whole(value: float) -> float | int:
  """An integer if it is one: some readers want an attribute to be of a type."""
  return int(value) if value == int(value) else value


def _windows(
  raw: Mapping[str, Any], layers: int, family: _Family, where: str
) -> tuple[int, ...]:
  """The windows of the layers, empty where all layers see everything.

  Gemma 2 files of transformers before 4.53 have no `layer_types`: there the
  first layer slides, and every other one after it.
  """
  slides = 'sliding_window' in family.own
  kinds = raw.get('layer_types')
  if kinds is None:
    kinds = [_FULL if i % 2 or not slides else _SLIDING for i in range(layers)]
  choices = (_FULL, _SLIDING) if slides else (_FULL,)
  if (
    not isinstance(kinds, list)
    or len(kinds) != layers
    or any(kind not in choices for kind in kinds)
  ):
    expected = f'{layers} layers of {" or ".join(map(repr, choices))}'
    attributes.refuse(where, 'layer_types', kinds, expected)
  if _SLIDING not in kinds:
    return ()
  window: Any = raw.get('sliding_window')
  if not attributes.is_integer(window) or window < 1:
    attributes.refuse(where, 'sliding_window', window, 'a positive integer')
  if raw.get('sliding_window_size', window) != window:
    attributes.refuse(
      where,
      'sliding_window_size',
      raw['sliding_window_size'],
      f'{window}, as sliding_window',
    )
  return tuple(window if kind == _SLIDING else 0 for kind in kinds)
