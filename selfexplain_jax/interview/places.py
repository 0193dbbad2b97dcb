# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Where an explainer, its target and its explanation sets are.

Every stage notes its config in its workdir, and so what it was made from.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files

_CONFIG = 'config.json'
# The folder of the explainer in the workdir of a whole experiment.
_OF_FLOW = 'self_explainer'


@dataclasses.dataclass(frozen=True)
class Places:
  """Directories of what an interview needs.

  Attributes:
    explainer: of the trained explainer.
    target: of the model that it explains.
    sets: by question type, of the explanation sets that it learnt from.
    dictionary: of the target's dictionaries; empty for none.
  """

  explainer: str
  target: str
  sets: Mapping[str, str]
  dictionary: str


def find(workdir: str, target: str = '', dictionary: str = '') -> Places:
  """Finds out where everything is.

  Args:
    workdir: of train_explainer, or of an experiment such as the quickstart,
      whose `self` is meant.
    target: directory of the target, if not the one noted.
    dictionary: directory of its dictionaries, if not the one noted.

  Raises:
    errors.InputError: naming what is not there.
  """
  folder = files.path(workdir)
  if (folder / _OF_FLOW / _CONFIG).exists():
    folder = folder / _OF_FLOW
  if not (folder / _CONFIG).exists():
    raise errors.InputError(
      f'--explainer={workdir}: expected the workdir of train_explainer or of '
      'the quickstart, which makes one: python -m launch.quickstart'
    )
  noted = files.read_json(folder / _CONFIG, 'config of an explainer')
  if 'explanations' not in noted or 'injection' not in noted:
    raise errors.InputError(
      f'--explainer={workdir} is the workdir of another stage: expected that '
      'of train_explainer'
    )
  if not (folder / 'metrics.json').exists():
    raise errors.InputError(
      f'{folder} has no metrics.json: expected an explainer whose training has '
      'ended; run it again with the same command'
    )
  sets = {task: place for task, place in noted['explanations'].items() if place}
  for task, place in sets.items():
    if not (files.path(place) / 'manifest.json').exists():
      raise errors.InputError(
        f'{folder / _CONFIG} has the {task} set {place}, and there is none: '
        'expected it where it was when the explainer was trained'
      )
  made = [_config(place) for place in sets.values()]
  found = {
    name: given or next((str(c[name]) for c in made if c.get(name)), '')
    for name, given in (('target', target), ('dictionary', dictionary))
  }
  for name, place in found.items():
    # What is no path may be on the hub.
    if place.startswith(('/', '~', '.')) and not files.path(place).exists():
      raise errors.InputError(
        f'there is no {place}, the {name} of the sets of {folder}: expected it '
        f'there, or elsewhere by --{name}'
      )
  if not found['target']:
    raise errors.InputError(
      f'the sets of {folder} do not say where their target is: expected '
      '--target'
    )
  return Places(str(folder / 'model'), sets=sets, **found)


def _config(directory: str) -> dict[str, Any]:
  """The config that a set was made with; empty if it is not noted."""
  noted = files.path(directory) / _CONFIG
  return files.read_json(noted, 'config of a set') if noted.exists() else {}
