# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Language models that explain their own activations, checked by re-running.

`import selfexplain_jax as sx` gives what `library` has; docs/library.md shows
it at work. Everything else is of the binaries and may change.
"""

from typing import Any

__all__ = [
  'Captured',
  'Effect',
  'InputError',
  'ablate',
  'ask',
  'capture',
  'compare',
  'evaluate',
  'heat_map',
  'load',
  'open_interview',
  'open_store',
  'patch',
  'read_explanations',
]


def __getattr__(name: str) -> Any:
  """Finds a public name; what it needs is imported when it is first used."""
  if name not in __all__:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  # Here, since every module of the package is imported through this one.
  import importlib

  return getattr(importlib.import_module(f'{__name__}.library'), name)


def __dir__() -> list[str]:
  return sorted(__all__)
