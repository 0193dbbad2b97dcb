# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Attributes of a JSON configuration that others wrote, read strictly.

Each is understood, or known not to matter, or must have the one value that is
implemented. Anything else is refused by name: a model that is run with an
attribute overlooked gives plausible and wrong numbers.
"""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from selfexplain_jax import errors
from selfexplain_jax import files


def read(source: files.PathLike, what: str) -> dict[str, Any]:
  """Reads a JSON object from a file.

  Raises:
    errors.InputError: if there is none.
  """
  raw = files.read_json(source, what)
  if not isinstance(raw, dict):
    raise errors.InputError(f'{source}: expected a JSON object')
  return raw


def refuse(where: str, name: str, value: Any, expected: str) -> NoReturn:
  """Raises the InputError of one attribute."""
  raise errors.InputError(
    f'{where}: attribute {name!r} is {value!r}: expected {expected}'
  )


def check(
  raw: Mapping[str, Any],
  where: str,
  known: Collection[str],
  expected: Mapping[str, Collection[Any]],
) -> None:
  """Raises InputError for an attribute that is unknown or of another value.

  Args:
    raw: the attributes.
    where: the file, for messages.
    known: attributes that may have any value.
    expected: others, with the values that they may have.
  """
  for name, value in sorted(raw.items()):
    if name in expected:
      if value not in expected[name]:
        refuse(where, name, value, ' or '.join(map(repr, expected[name])))
    elif name not in known:
      refuse(where, name, value, 'no attribute that this decoder lacks')


def is_integer(value: Any) -> bool:
  """Whether a value is an integer; JSON's true and false are not."""
  return isinstance(value, int) and not isinstance(value, bool)


def number(raw: Mapping[str, Any], name: str, where: str) -> float:
  """Returns a number.

  Raises:
    errors.InputError: if the attribute is absent or is none.
  """
  value = raw.get(name)
  if isinstance(value, bool) or not isinstance(value, int | float):
    refuse(where, name, value, 'a number')
  return float(value)
