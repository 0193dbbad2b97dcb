# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What every binary shares: flags, exit codes, and errors of one line.

Exit codes: 0 success; 1 a fault of the program; 2 bad input, flags and configs
included, with one line on stderr; 75 saved after a preemption, run again.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
from absl import app
from absl import flags
from absl import logging
from ml_collections import config_flags

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import preemption

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'The experiment: a file under experiments/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder that gets everything this run writes.'
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Print what would be done, with sizes, and stop.'
)

Work = Callable[[ml_collections.ConfigDict, str, bool], Any]


def launch(work: Work, *, config: str, workdir: str | None = None) -> None:
  """Parses the command line, runs the work and exits.

  Args:
    work: takes the config, the workdir and whether it is a dry run.
    config: the default of --config.
    workdir: the default of --workdir; the flag is required without one.
  """
  argv = list(sys.argv)
  if not any(a.split('=')[0] in ('--config', '-config') for a in argv):
    argv.insert(1, f'--config={config}')
  if workdir is not None:
    flags.set_default(_WORKDIR, workdir)

  def main(rest: list[str]) -> None:
    if len(rest) > 1:
      raise errors.InputError(
        f'unexpected argument {rest[1]!r}: expected only --flags'
      )
    if not _WORKDIR.value:
      raise errors.InputError('--workdir is missing: expected a folder')
    preemption.listen()
    work(_CONFIG.value, _WORKDIR.value, _DRY_RUN.value)

  logging.set_verbosity(logging.INFO)
  logging.set_stderrthreshold('info')
  logging.get_absl_handler().addFilter(_speaks_of_this_project)
  try:
    app.run(main, argv=argv, flags_parser=_parse)
  except errors.InputError as e:
    _exit(2, f'error: {_one_line(e)}')
  except preemption.Preempted:
    _exit(75, 'saved after a preemption: run the same command again')


def _parse(argv: list[str]) -> list[str]:
  """Parses flags; what is wrong with them becomes an InputError."""
  try:
    return flags.FLAGS(argv)
  except SystemExit:  # absl leaves with 1 after printing --help.
    sys.exit(0)
  except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as e:
    raise errors.InputError(f'bad flag: {_one_line(e)}') from e
  except (FileNotFoundError, IsADirectoryError, ImportError, SyntaxError) as e:
    raise errors.InputError(f'bad --config: {_one_line(e)}') from e


def _speaks_of_this_project(record: Any) -> bool:
  """Drops what Orbax tells of its inner workings at level INFO."""
  return record.levelno > 20 or '/orbax/' not in record.pathname


def _one_line(e: BaseException) -> str:
  return ' '.join(str(e).split())


def _exit(code: int, line: str) -> None:
  print(line, file=sys.stderr)
  sys.exit(code)


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
  noted = files.path(workdir) / 'config.json'
  if noted.exists():
    theirs = files.read_json(noted, 'config of this workdir')
    _refuse_difference(theirs, files.as_json(config.to_dict()), noted, '')
  return noted.exists() and (files.path(workdir) / last).exists()


def begin(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Notes the config in a workdir, and keeps compiled programs for restarts."""
  files.write_json(files.path(workdir) / 'config.json', config.to_dict())
  cache = files.path('~/.cache/selfexplain_jax/programs')
  jax.config.update('jax_compilation_cache_dir', str(cache))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


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
