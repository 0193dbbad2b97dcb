# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Command lines that make recipes, for machines that no sweep runs on."""

from collections.abc import Iterable, Iterator, Mapping
import importlib
import shlex
from typing import Any

import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.studies import recipe as recipe_lib


def lines(
  recipes: Iterable[recipe_lib.Recipe],
  workdir: str,
  before: str,
  bases: Mapping[str, str],
) -> Iterator[str]:
  """Yields a command for each recipe, and first for those that it needs.

  Args:
    recipes: whose directories are wanted.
    workdir: that they are made in.
    before: what comes before the name of a binary, such as `python -m launch.`
      or a launcher's own command.
    bases: by stage, or by task of those that have one in their config, the
      `FILE.py` or `FILE.py:ARGUMENT` that a config differs from by flags.

  Raises:
    errors.InputError: if a stage is of no binary, or a config has fields that
      its file has not.
  """
  told = set[str]()
  for wanted in recipes:
    for recipe in wanted.all():
      if recipe.digest not in told:
        told.add(recipe.digest)
        yield f'{before}{_command(recipe, workdir, bases)}'


def _command(
  recipe: recipe_lib.Recipe, workdir: str, bases: Mapping[str, str]
) -> str:
  """The name of the binary, and its flags."""
  config = recipe.resolved(workdir)
  file = bases.get(config.get('task') or recipe.stage)
  if file is None:
    raise errors.InputError(
      f'{recipe.folder} is made by {recipe.stage}, which is no binary: '
      'expected a study without such stages, or a sweep that runs them itself'
    )
  own, usual = _flat(config), _flat(_read(file))
  if more := sorted(own.keys() - usual.keys()):
    raise errors.InputError(
      f'{recipe.folder} has config.{more[0]}, which {file} has not: expected '
      'fields of that file'
    )
  place = files.path(workdir) / recipe.folder
  flags = [f'--workdir={place}', f'--config={file}']
  flags += [
    f'--config.{name}={value}'
    for name, value in own.items()
    if value != usual[name]
  ]
  return shlex.join([recipe.stage, *flags])


def _read(file: str) -> ml_collections.ConfigDict:
  name, *argument = file.split(':')
  module = importlib.import_module(name.removesuffix('.py').replace('/', '.'))
  return module.get_config(*argument)


def _flat(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Values by name, with dots where they are nested."""
  found: dict[str, Any] = {}
  for name, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      found |= {f'{name}.{k}': v for k, v in _flat(value).items()}
    else:
      found[name] = value
  return found
