# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A stage's workdir: of which config it is, and whether its result is whole."""

from typing import Any

import jax
import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax import later_fields
from selfexplain_jax.distributed import hosts
from selfexplain_jax.judges import chat

# Fields that say how a result is computed, not which: a run that was stopped
# may go on with others, as on another slice or with another number of hosts.
_MEANS = ('accumulate', 'mesh', 'profile', 'remat')


def finished(
  config: ml_collections.ConfigDict, workdir: str, last: str
) -> bool:
  """Whether a workdir holds the whole result of this config already.

  Args:
    config: the config of this run.
    workdir: its folder.
    last: the file that a run writes last.

  Raises:
    errors.InputError: if the workdir was begun with another config, naming a
      field that differs.
  """
  # What the stage before left may be read by this one.
  hosts.barrier('the start of a stage')
  noted = files.path(workdir) / 'config.json'
  if noted.exists():
    theirs = files.read_json(noted, 'config of this workdir')
    ours = files.as_json(config.to_dict())
    theirs = later_fields.put_in(theirs, ours)
    _refuse_difference(_of_results(theirs), _of_results(ours), noted, '')
  return hosts.agree(noted.exists() and (files.path(workdir) / last).exists())


def begin(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Notes the config in a workdir, and keeps compiled programs for restarts.

  Raises:
    errors.InputError: if the workdir cannot be written to, or is not seen by
      all processes of the job.
  """
  noted = files.path(workdir) / 'config.json'
  try:
    files.write_json(noted, config.to_dict())
  except Exception as e:  # Each kind of storage has errors of its own.
    raise errors.InputError(
      f'--workdir={workdir} cannot be written to: {type(e).__name__}: {e}, '
      'expected a folder or bucket that lets this user write'
    ) from e
  hosts.barrier('the workdir')
  blind = [i for i, seen in enumerate(hosts.gather(noted.exists())) if not seen]
  if blind:
    raise errors.InputError(
      f'--workdir={workdir} is not the same folder for all: process {blind[0]} '
      'does not see what process 0 wrote, expected storage that all share'
    )
  keep_programs()


def keep_programs() -> None:
  """Keeps compiled programs on disk, unless JAX was told where."""
  if jax.config.values['jax_compilation_cache_dir'] is None:
    cache = files.path('~/.cache/selfexplain_jax/programs')
    jax.config.update('jax_compilation_cache_dir', str(cache))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def _of_results(config: dict[str, Any]) -> dict[str, Any]:
  """Returns a config without what a run may change when it goes on."""
  kept = chat.without_means(config)
  return {n: v for n, v in kept.items() if n not in _MEANS}


def _refuse_difference(old: Any, new: Any, where: Any, name: str) -> None:
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(old.keys() | new.keys()):
      _refuse_difference(
        old.get(key), new.get(key), where, f'{name}.{key}' if name else key
      )
  elif old != new:
    raise errors.InputError(
      f'{where} was begun with {name}={old!r}, not {new!r}: expected the same '
      'config, or another --workdir'
    )
