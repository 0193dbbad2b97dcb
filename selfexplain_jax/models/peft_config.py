# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""`adapter_config.json` of an adapter in PEFT's layout, read strictly."""

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

from selfexplain_jax import files
from selfexplain_jax.models import attributes
from selfexplain_jax.models import tensor_names

FILE = 'adapter_config.json'

TABLES = ('embed_tokens', 'lm_head')

# Attributes that decide nothing, given the values that are expected of them.
# Other ways to initialise than these change the base model as well.
_EXPECTED: dict[str, tuple[Any, ...]] = {
  'alora_invocation_tokens': (None,),
  'alpha_pattern': ({}, None),
  'arrow_config': (None,),
  'bias': ('none',),
  'corda_config': (None,),
  'eva_config': (None,),
  'exclude_modules': (None, []),
  'fan_in_fan_out': (False,),
  'init_lora_weights': (True, False, 'gaussian', 'orthogonal'),
  'kasa_config': (None,),
  'layer_replication': (None,),
  'layers_pattern': (None, '', 'layers', []),
  'loftq_config': ({}, None),
  'lora_bias': (False,),
  'lora_ga_config': (None,),
  'megatron_config': (None,),
  'monteclora_config': (None,),
  'peft_type': ('LORA',),
  'rank_pattern': ({}, None),
  'target_parameters': (None, []),
  'trainable_token_indices': (None,),
  'use_bdlora': (None, False),
  'use_dora': (False,),
  'use_qalora': (False,),
  'velora_config': (None,),
}

_KNOWN = {
  'auto_mapping',
  'base_model_name_or_path',
  'ensure_weight_tying',
  'inference_mode',
  'layers_to_transform',
  'lora_alpha',
  'lora_dropout',
  'megatron_core',
  'modules_to_save',
  'peft_version',
  'qalora_group_size',
  'r',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
  'use_rslora',
}


@dataclasses.dataclass(frozen=True)
class PeftConfig:
  """What the configuration of an adapter says.

  Attributes:
    base: directory or hub id of the model it is for, with its revision.
    rank: r.
    scale: what the product of the factors is multiplied with.
    modules: full names of the modules that have factors.
    saved: which of `TABLES` are trained whole.
    tying: whether a base's tied embedding stays tied when it is trained.
  """

  base: str
  rank: int
  scale: float
  modules: frozenset[str]
  saved: frozenset[str]
  tying: bool


def base(directory: files.PathLike) -> str:
  """Returns the directory or hub id of the model that an adapter is for.

  Raises:
    errors.InputError: if the adapter's configuration does not say.
  """
  raw, where = _read(directory)
  return _base(raw, where)


def read(directory: files.PathLike, layers: int) -> PeftConfig:
  """Reads the configuration of an adapter.

  Args:
    directory: of the adapter.
    layers: of the model that it is for.

  Raises:
    errors.InputError: naming the attribute, the file and what was expected.
  """
  raw, where = _read(directory)
  attributes.check(raw, where, _KNOWN, _EXPECTED)
  rank: Any = raw.get('r')
  if not attributes.is_integer(rank) or rank < 1:
    attributes.refuse(where, 'r', rank, 'a positive integer')
  alpha = attributes.number(raw, 'lora_alpha', where)
  covered = raw.get('layers_to_transform')
  if covered is not None and covered != list(range(layers)):
    expected = f'null, or all of the {layers} layers'
    attributes.refuse(where, 'layers_to_transform', covered, expected)
  saved = raw.get('modules_to_save') or []
  if not isinstance(saved, list) or not {*saved} <= {*TABLES}:
    expected = f'some of {", ".join(TABLES)}, or null'
    attributes.refuse(where, 'modules_to_save', saved, expected)
  return PeftConfig(
    base=_base(raw, where),
    rank=rank,
    scale=alpha / (rank**0.5 if raw.get('use_rslora') else rank),
    modules=_modules(raw, where, layers),
    saved=frozenset(saved),
    tying=bool(raw.get('ensure_weight_tying')),
  )


def write(
  directory: files.PathLike,
  base_name: str,
  rank: int,
  scale: float,
  saved: list[str],
) -> None:
  """Writes the configuration of an adapter of all matrices.

  Args:
    directory: where to.
    base_name: directory or hub id of the model it is for.
    rank: r.
    scale: what the factors' product is multiplied with.
    saved: which of `TABLES` are stored whole.
  """
  modules = (name.split('.')[-1] for name in tensor_names.MODULES.values())
  content = {
    'base_model_name_or_path': base_name,
    'bias': 'none',
    'fan_in_fan_out': False,
    'inference_mode': True,
    'init_lora_weights': True,
    'lora_alpha': _alpha(rank * scale),
    'lora_dropout': 0.0,
    'modules_to_save': saved or None,
    'peft_type': 'LORA',
    'r': rank,
    'target_modules': sorted(modules),
    'task_type': 'CAUSAL_LM',
    'use_dora': False,
    'use_rslora': False,
  }
  files.write_json(files.path(directory) / FILE, content)


def _alpha(value: float) -> float | int:
  """A whole number where it is one, as PEFT writes it."""
  return int(value) if value == int(value) else value


def _read(directory: files.PathLike) -> tuple[dict[str, Any], str]:
  """Returns the contents of the file and its path, for messages."""
  source = files.path(directory) / FILE
  return attributes.read(source, 'configuration of an adapter'), str(source)


def _base(raw: Mapping[str, Any], where: str) -> str:
  name, revision = raw.get('base_model_name_or_path'), raw.get('revision')
  if not isinstance(name, str) or not name:
    expected = 'the directory or hub id of a model'
    attributes.refuse(where, 'base_model_name_or_path', name, expected)
  return f'{name}@{revision}' if revision else name


def _modules(raw: Mapping[str, Any], where: str, layers: int) -> frozenset[str]:
  """Modules that `target_modules` names: by their ends, or by a pattern."""
  targets: Any = raw.get('target_modules')
  blocks = {
    tensor_names.module(layer, attribute)
    for layer in range(layers)
    for attribute in tensor_names.MODULES
  }
  tables = {'model.embed_tokens', 'lm_head'}
  if targets == 'all-linear':  # All but the unembedding.
    return frozenset(blocks)
  if isinstance(targets, str):
    try:
      pattern = re.compile(targets)
    except re.error:
      attributes.refuse(where, 'target_modules', targets, 'a pattern')
    found = {m for m in blocks | tables if pattern.fullmatch(m)}
  elif isinstance(targets, list) and all(isinstance(t, str) for t in targets):
    found = {
      m for m in blocks | tables for t in targets if f'.{m}'.endswith(f'.{t}')
    }
  else:
    attributes.refuse(where, 'target_modules', targets, 'names or a pattern')
  if not found or found & tables:
    expected = 'modules of the blocks, at least one and no others'
    attributes.refuse(where, 'target_modules', targets, expected)
  return frozenset(found)
