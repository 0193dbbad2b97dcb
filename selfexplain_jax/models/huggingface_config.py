# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""`config.json` of a Hugging Face directory, read strictly and written back.

Every attribute is understood, or known not to matter, or must have the one
value that this decoder implements. Anything else is refused by name: a model
that is run with an attribute overlooked gives plausible and wrong numbers.
"""

from collections.abc import Mapping
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import config as config_lib

FILE = 'config.json'

_ARCHITECTURES = {'llama': 'LlamaForCausalLM', 'qwen3': 'Qwen3ForCausalLM'}
_DTYPES = ('float32', 'bfloat16', 'float16')

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

# Attributes that decide nothing, given the value that is expected of them.
_EXPECTED: dict[str, Any] = {
  'attention_bias': False,
  'attention_dropout': 0,
  'hidden_act': 'silu',
  'is_encoder_decoder': False,
  'mlp_bias': False,
  'pretraining_tp': 1,
  'sliding_window': None,
  'use_sliding_window': False,
}

_UNDERSTOOD = {
  *_INTEGERS.values(),
  *_EXPECTED,
  'bos_token_id',
  'dtype',
  'eos_token_id',
  'layer_types',
  'model_type',
  'rms_norm_eps',
  'rope_parameters',
  'rope_scaling',
  'rope_theta',
  'tie_word_embeddings',
  'torch_dtype',
}

_IGNORED = {
  '_name_or_path',
  'architectures',
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
  'use_cache',
}

# Field of RopeScaling: attribute of the table of a `llama3` rope.
_LLAMA3 = {
  'factor': 'factor',
  'low_frequency_factor': 'low_freq_factor',
  'high_frequency_factor': 'high_freq_factor',
  'original_positions': 'original_max_position_embeddings',
}


def read_config(directory: files.PathLike) -> config_lib.DecoderConfig:
  """Reads the configuration of a Llama or Qwen3 directory.

  Both dtypes are the stored one (`dtype`, or `torch_dtype` before
  transformers 5), float32 where none is named.

  Raises:
    errors.InputError: naming the attribute, the file and what was expected.
  """
  raw, where = _read(directory)
  family = raw.get('model_type')
  if family not in _ARCHITECTURES:
    _refuse(where, 'model_type', family, ' or '.join(_ARCHITECTURES))
  for name, value in sorted(raw.items()):
    if name not in _UNDERSTOOD | _IGNORED:
      _refuse(where, name, value, 'no attribute that this decoder lacks')
    if name in _EXPECTED and value != _EXPECTED[name]:
      _refuse(where, name, value, repr(_EXPECTED[name]))
  kinds = raw.get('layer_types') or []
  if any(kind != 'full_attention' for kind in kinds):
    _refuse(where, 'layer_types', kinds, "'full_attention' alone")
  tied = raw.get('tie_word_embeddings', False)
  if not isinstance(tied, bool):
    _refuse(where, 'tie_word_embeddings', tied, 'true or false')
  dtype = raw.get('dtype') or raw.get('torch_dtype') or 'float32'
  if dtype not in _DTYPES:
    _refuse(where, 'dtype', dtype, ', '.join(_DTYPES))
  theta, scaling = _rope(raw, where)
  sizes = _integers(raw, where)
  epsilon = _number(raw, 'rms_norm_eps', where)
  try:
    return config_lib.DecoderConfig(
      **sizes,
      rope_theta=theta,
      rope_scaling=scaling,
      norm_epsilon=epsilon,
      query_key_norm=family == 'qwen3',
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
  if not _is_integer(eos):
    _refuse(where, 'eos_token_id', eos, 'a token id')
  if bos is not None and not _is_integer(bos):
    _refuse(where, 'bos_token_id', bos, 'a token id or null')
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
  """
  family = 'qwen3' if config.query_key_norm else 'llama'
  table: dict[str, Any] = {'rope_type': 'default'}
  if config.rope_scaling is not None:
    table = {'rope_type': 'llama3'}
    for field, attribute in _LLAMA3.items():
      table[attribute] = getattr(config.rope_scaling, field)
  content = {
    'architectures': [_ARCHITECTURES[family]],
    'attention_bias': False,
    'bos_token_id': bos_id,
    'dtype': config.parameter_dtype,
    'eos_token_id': eos_id,
    'hidden_act': 'silu',
    'model_type': family,
    'rms_norm_eps': config.norm_epsilon,
    'rope_parameters': {**table, 'rope_theta': config.rope_theta},
    'rope_theta': config.rope_theta,
    'tie_word_embeddings': config.tied,
    'torch_dtype': config.parameter_dtype,
  }
  if config.rope_scaling is not None:
    content['rope_scaling'] = table
  for field, attribute in _INTEGERS.items():
    content[attribute] = getattr(config, field)
  files.write_json(files.path(directory) / FILE, content)


def _read(directory: files.PathLike) -> tuple[dict[str, Any], str]:
  """Returns the contents of `config.json` and its path, for messages."""
  source = files.path(directory) / FILE
  raw = files.read_json(source, 'model configuration')
  if not isinstance(raw, dict):
    raise errors.InputError(f'{source}: expected a JSON object')
  return raw, str(source)


def _refuse(where: str, name: str, value: Any, expected: str) -> None:
  """Raises the InputError of one attribute."""
  raise errors.InputError(
    f'{where}: attribute {name!r} is {value!r}: expected {expected}'
  )


def _is_integer(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _integers(raw: Mapping[str, Any], where: str) -> dict[str, int]:
  """The integer fields; Llama alone may leave two of them to be derived."""
  values: dict[str, Any] = {
    field: raw.get(name) for field, name in _INTEGERS.items()
  }
  width, heads = values['width'], values['heads']
  if raw['model_type'] == 'llama' and _is_integer(width) and heads:
    values['kv_heads'] = values['kv_heads'] or heads
    values['head_width'] = values['head_width'] or width // heads
  for field, name in _INTEGERS.items():
    if not _is_integer(values[field]) or values[field] < 1:
      _refuse(where, name, values[field], 'a positive integer')
  return values


def _number(raw: Mapping[str, Any], name: str, where: str) -> float:
  value = raw.get(name)
  if isinstance(value, bool) or not isinstance(value, int | float):
    _refuse(where, name, value, 'a number')
  return float(raw[name])


def _rope(
  raw: Mapping[str, Any], where: str
) -> tuple[float, config_lib.RopeScaling | None]:
  """Reads base and scaling of the rotary embedding.

  transformers 5 has both in `rope_parameters`; before it they were `rope_theta`
  and `rope_scaling`. A file may have both, if they agree.
  """
  outer = {'rope_theta': 10_000.0, **raw}
  readings = []
  for name in ('rope_parameters', 'rope_scaling'):
    table = raw.get(name)
    if table is None:
      continue
    if not isinstance(table, dict):
      _refuse(where, name, table, 'a table')
    at = f'{where}: {name}'
    theta = _number({**outer, **table}, 'rope_theta', at)
    readings.append((theta, _rope_scaling(table, at)))
  if not readings:
    return _number(outer, 'rope_theta', where), None
  theta, scaling = readings[0]
  if readings[-1] != readings[0] or raw.get('rope_theta', theta) != theta:
    _refuse(
      where,
      'rope_parameters',
      raw.get('rope_parameters'),
      'the same rope as rope_theta and rope_scaling give',
    )
  return theta, scaling


def _rope_scaling(
  table: Mapping[str, Any], where: str
) -> config_lib.RopeScaling | None:
  """Reads the table of one rope."""
  kind = table.get('rope_type', table.get('type', 'default'))
  if kind not in ('default', 'llama3'):
    _refuse(where, 'rope_type', kind, 'default or llama3')
  known = {'rope_type', 'type', 'rope_theta'}
  if kind == 'llama3':
    known.update(_LLAMA3.values())
  for name, value in sorted(table.items()):
    if name not in known:
      _refuse(where, name, value, f'no such attribute in a {kind} rope')
  if kind == 'default':
    return None
  values = {f: _number(table, name, where) for f, name in _LLAMA3.items()}
  positions = int(values.pop('original_positions'))
  return config_lib.RopeScaling(**values, original_positions=positions)
