# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The rotary embedding in `config.json`: base and scaling, read and written.

transformers 5 has both in `rope_parameters`; before it they were `rope_theta`
and `rope_scaling`.
"""

from collections.abc import Mapping
from typing import Any

from selfexplain_jax.models import attributes
from selfexplain_jax.models import config as config_lib

ATTRIBUTES = ('rope_parameters', 'rope_scaling', 'rope_theta')

# Field of RopeScaling: attribute of the table of a `llama3` rope.
_LLAMA3 = {
  'factor': 'factor',
  'low_frequency_factor': 'low_freq_factor',
  'high_frequency_factor': 'high_freq_factor',
  'original_positions': 'original_max_position_embeddings',
}


def read(
  raw: Mapping[str, Any], where: str
) -> tuple[float, config_lib.RopeScaling | None]:
  """Reads base and scaling, in the old form, the new one, or both if equal.

  Raises:
    errors.InputError: naming the attribute, the file and what was expected.
  """
  outer = {'rope_theta': 10_000.0, **raw}
  readings = []
  for name in ('rope_parameters', 'rope_scaling'):
    table = raw.get(name)
    if table is None:
      continue
    if not isinstance(table, dict):
      attributes.refuse(where, name, table, 'a table')
    at = f'{where}: {name}'
    theta = attributes.number({**outer, **table}, 'rope_theta', at)
    readings.append((theta, _scaling(table, at)))
  if not readings:
    return attributes.number(outer, 'rope_theta', where), None
  theta, scaling = readings[0]
  if readings[-1] != readings[0] or raw.get('rope_theta', theta) != theta:
    attributes.refuse(
      where,
      'rope_parameters',
      raw.get('rope_parameters'),
      'the same rope as rope_theta and rope_scaling give',
    )
  return theta, scaling


def write(config: config_lib.DecoderConfig) -> dict[str, Any]:
  """Returns the attributes of a rope, in the old form and in the new one."""
  table: dict[str, Any] = {'rope_type': 'default'}
  if config.rope_scaling is not None:
    table = {'rope_type': 'llama3'}
    for field, attribute in _LLAMA3.items():
      table[attribute] = getattr(config.rope_scaling, field)
  content = {
    'rope_parameters': {**table, 'rope_theta': config.rope_theta},
    'rope_theta': config.rope_theta,
  }
  if config.rope_scaling is not None:
    content['rope_scaling'] = table
  return content


def _scaling(
  table: Mapping[str, Any], where: str
) -> config_lib.RopeScaling | None:
  """Reads the table of one rope."""
  kind = table.get('rope_type', table.get('type', 'default'))
  if kind not in ('default', 'llama3'):
    attributes.refuse(where, 'rope_type', kind, 'default or llama3')
  known = {'rope_type', 'type', 'rope_theta'}
  if kind == 'llama3':
    known.update(_LLAMA3.values())
  for name, value in sorted(table.items()):
    if name not in known:
      attributes.refuse(
        where, name, value, f'no such attribute in a {kind} rope'
      )
  if kind == 'default':
    return None
  values = {
    field: attributes.number(table, name, where)
    for field, name in _LLAMA3.items()
  }
  positions = int(values.pop('original_positions'))
  return config_lib.RopeScaling(**values, original_positions=positions)
