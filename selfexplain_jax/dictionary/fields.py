# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Fields of the JSON files of published dictionaries, each of them understood.

A field that is not known may change what a dictionary does, so it is refused.
"""

from collections.abc import Collection, Mapping
import math
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files

_REQUIRED = object()


def read_object(
  name: files.PathLike,
  allowed: Mapping[str, Collection[Any]],
  others: Collection[str],
) -> dict[str, Any]:
  """Reads a JSON object.

  Args:
    name: the file.
    allowed: what a field may say, by field.
    others: fields that may say anything.

  Raises:
    errors.InputError: if there is none, or naming a field that is not known or
      says something else.
  """
  config = files.read_json(name, 'config of a dictionary')
  if not isinstance(config, dict):
    raise errors.InputError(f'{name} is no object: expected one with fields')
  for field, value in config.items():
    if field not in allowed and field not in others:
      raise errors.InputError(
        f'{name} has a field {field!r}: expected none but '
        f'{", ".join((*allowed, *others))}'
      )
    # By text, since 1 and 0 are equal to true and false.
    if field in allowed and repr(value) not in map(repr, allowed[field]):
      choices = ' or '.join(repr(choice) for choice in allowed[field])
      raise errors.InputError(
        f'{name} has {field}={value!r}: expected {choices}'
      )
  return config


def read(
  config: Any,
  field: str,
  kind: type,
  name: files.PathLike,
  default: Any = _REQUIRED,
) -> Any:
  """Returns a field of a type.

  Raises:
    errors.InputError: without it, if it has no default, or if it is of another
      type.
  """
  if isinstance(config, dict) and field not in config:
    if default is not _REQUIRED:
      return default
    raise errors.InputError(f'{name} has no field {field!r}: expected one')
  if not isinstance(config, dict) or type(config[field]) is not kind:
    found = config[field] if isinstance(config, dict) else config
    raise errors.InputError(
      f'{name} has {field}={found!r}: expected {kind.__name__}'
    )
  return config[field]


def at_least_one(config: Any, field: str, name: files.PathLike) -> int:
  """Returns a field that counts something; raises as `read` does."""
  value = config.get(field)
  if field not in config:
    return read(config, field, int, name)
  if type(value) is not int or value < 1:
    raise errors.InputError(
      f'{name} has {field}={value!r}: expected an integer >= 1'
    )
  return value


def positive(config: Any, field: str, name: files.PathLike) -> float:
  """Returns a field that is a finite number above 0; raises as `read` does."""
  if not isinstance(config, dict) or field not in config:
    raise errors.InputError(f'{name} has no field {field!r}: expected one')
  value = config[field]
  number = isinstance(value, int | float) and not isinstance(value, bool)
  if not number or not math.isfinite(value) or value <= 0:
    raise errors.InputError(
      f'{name} has {field}={value!r}: expected a number above 0'
    )
  return float(value)
