# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Language models that explain their own activations, checked by re-running.

`import selfexplain_jax as sx` gives the names below; docs/library.md shows
it at work. Everything else is of the binaries and may change.
"""

from typing import Any

# By name, the module that has it.
_PUBLIC = {
  'Captured': 'library.models',
  'Effect': 'library.models',
  'InputError': 'errors',
  'ablate': 'library.models',
  'ask': 'library.explainers',
  'capture': 'library.models',
  'compare': 'library.explainers',
  'evaluate': 'library.explainers',
  'heat_map': 'library.explainers',
  'load': 'library.models',
  'open_interview': 'library.explainers',
  'open_store': 'activations.reader',
  'patch': 'library.models',
  'read_explanations': 'library.explainers',
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
  """Finds a public name; what it needs is imported when it is first used."""
  if name not in _PUBLIC:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  # Here, since every module of the package is imported through this one.
  import importlib

  module = importlib.import_module(f'{__name__}.{_PUBLIC[name]}')
  return getattr(module, name)


def __dir__() -> list[str]:
  return __all__
