# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Fields that configs got later, and what was done before there were they.

A config that has such a field at its value of before asks for the same as one
without it. So results and folders that were made earlier stay those of the
config of now.
"""

from collections.abc import Mapping
from typing import Any

# No figures that dictionaries have to have.
_NOT_EXPECTED = {
  'l0': [],
  'l0_tolerance': 0.2,
  'variance_explained': [],
  'variance_explained_tolerance': 0.05,
}

# By stage, the fields of its config and their values of before; of a field with
# parts, those parts that decide.
_BEFORE: dict[str, dict[str, Any]] = {
  'evaluate_fidelity': {
    'dtype': 'float32',
    'judge': {'kind': 'words'},
    'keep_unstable': False,
    'simulator': '',
    'simulator_convention': '',
  },
  'make_explanations': {
    'dtype': 'float32',
    'expected': _NOT_EXPECTED,
    'keep_unstable': False,
    'labels': {'source': 'concepts'},
  },
  'pretrain_target': {
    'accumulate': 1,
    'named_layers': 0,
    'profile': {'steps': 0},
    'quoted_ids': 0,
    'remat': 'full',
    'restore_from': '',
  },
  'train_dictionary': {
    'profile': {'steps': 0},
    'restore_from': '',
  },
  'train_explainer': {
    'accumulate': 1,
    'chat': False,
    'dtype': 'float32',
    'lora_embedding': True,
    'lora_scale': 1.0,
    'phrasings': 'world',
    'profile': {'steps': 0},
    'remat': 'full',
    'restore_from': '',
    'vectors': 'stored',
  },
  'train_simulator': {
    'profile': {'steps': 0},
    'restore_from': '',
  },
}


def left_out(stage: str, config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a stage's config without later fields at their values of before."""
  before = _BEFORE.get(stage, {})
  return {
    name: value
    for name, value in config.items()
    if name not in before or not _is(value, before[name])
  }


def put_in(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
  """Returns an old config with the later fields of a new one of its stage."""
  values = {n: v for before in _BEFORE.values() for n, v in before.items()}
  added = {
    n: new[n] if _is(new[n], v) else v for n, v in values.items() if n in new
  }
  return {**added, **old}


def _is(value: Any, before: Any) -> bool:
  """Whether a value asks for what was done before."""
  if isinstance(value, Mapping) and isinstance(before, Mapping):
    return all(value.get(part) == v for part, v in before.items())
  return value == before
