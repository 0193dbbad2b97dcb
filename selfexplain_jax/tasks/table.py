# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The table of question types: a new one is one line here and one file."""

from types import ModuleType

from selfexplain_jax import errors
from selfexplain_jax.tasks import patching

_TASKS = {patching.NAME: patching}


def task(name: str) -> ModuleType:
  """Returns the module of a question type.

  Raises:
    errors.InputError: if there is none of this name.
  """
  if name not in _TASKS:
    raise errors.InputError(
      f'unknown task {name!r}: expected one of {", ".join(_TASKS)}'
    )
  return _TASKS[name]
