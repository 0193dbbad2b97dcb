# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What every binary shares: flags, exit codes, and errors of one line.

Exit codes: 0 success; 1 a fault of the program, or of another process of the
job; 2 bad input, flags and configs included, with one line on stderr; 75 saved
after a preemption, run again.
"""

from collections.abc import Callable, Collection, Iterator
import operator
import os
import pathlib
import sys
import traceback
from typing import Any

from absl import app
from absl import flags
from absl import logging
import jax
import ml_collections
from ml_collections import config_flags

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.distributed import preemption
from selfexplain_jax.models import artefact

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'The experiment: a file under experiments/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder that gets everything this run writes.'
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Print what would be done, with sizes, and stop.'
)
_PROCESSES = flags.DEFINE_integer(
  'processes',
  1,
  'Processes of this job, of which this is one: one a host, as a rule. All are '
  'started with the same command.',
  lower_bound=1,
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator',
  None,
  'HOST:PORT of process 0, where the platform does not tell it.',
)
_PROCESS = flags.DEFINE_integer(
  'process', None, 'Number of this process, where the platform does not tell.'
)
_HOST_TIMEOUT = flags.DEFINE_integer(
  'host_timeout',
  1800,
  'Seconds that a process waits for the others.',
  lower_bound=1,
)
_FLAGS = (
  _CONFIG,
  _WORKDIR,
  _DRY_RUN,
  _PROCESSES,
  _COORDINATOR,
  _PROCESS,
  _HOST_TIMEOUT,
)

# How long a process waits, with its error, for others that end with it.
_PARTING_SECONDS = 10

Work = Callable[[ml_collections.ConfigDict, str, bool], Any]


def launch(work: Work, *, config: str, workdir: str | None = None) -> None:
  """Parses the command line, runs the work and exits.

  Args:
    work: takes the config, the workdir and whether it is a dry run.
    config: the default of --config.
    workdir: the default of --workdir; the flag is required without one.
  """
  # absl's --help shows the flags of the program alone, and these are its too.
  for flag in _FLAGS:
    flags.FLAGS.register_key_flag_for_module(
      sys.argv[0], flags.FLAGS[flag.name]
    )
  argv = list(sys.argv)
  if not any(a.split('=')[0] in ('--config', '-config') for a in argv):
    argv.insert(1, f'--config={config}')
  argv = [
    f'--config={_beside_launch(a.split("=", 1)[1])}'
    if a.startswith(('--config=', '-config='))
    else a
    for a in argv
  ]
  flags.FLAGS['config'].default_as_str = repr(config)
  if workdir is not None:
    flags.set_default(_WORKDIR, workdir)

  def main() -> None:
    if not _WORKDIR.value:
      raise errors.InputError('--workdir is missing: expected a folder')
    if files.path(_WORKDIR.value).is_file():
      raise errors.InputError(
        f'--workdir={_WORKDIR.value} is a file: expected a folder'
      )
    keep_float32()
    if _PROCESSES.value > 1 and not _DRY_RUN.value:
      _join(_CONFIG.value, _WORKDIR.value)
    preemption.listen()
    work(_CONFIG.value, _WORKDIR.value, _DRY_RUN.value)
    hosts.barrier('the end')

  _run(main, argv, _parse)


def launch_flags(work: Callable[[], int], keep: Collection[str] = ()) -> None:
  """Like `launch`, for a binary that has flags of its own and no config.

  Args:
    work: returns the exit code.
    keep: which of the flags of all binaries it has too.
  """
  for flag in _FLAGS:
    if flag.name in keep:
      flags.FLAGS.register_key_flag_for_module(
        sys.argv[0], flags.FLAGS[flag.name]
      )
    else:
      delattr(flags.FLAGS, flag.name)

  def main() -> None:
    keep_float32()
    sys.exit(work())

  _run(main, list(sys.argv), _parse_flags)


def _join(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Joins the other processes, and checks that they do the same.

  Raises:
    errors.InputError: naming what differs, and where.
  """
  hosts.initialize(
    _PROCESSES.value, _COORDINATOR.value, _PROCESS.value, _HOST_TIMEOUT.value
  )
  if not hosts.is_lead():
    logging.set_verbosity(logging.WARNING)
  ours = {
    'workdir': workdir,
    'jax': jax.__version__,
    'config': files.as_json(config.to_dict()),
  }
  for process, theirs in enumerate(hosts.gather(ours)):
    for name, value in _flat(theirs):
      if dict(_flat(ours)).get(name) != value:
        raise errors.InputError(
          f'process {process} has {name}={value!r}, and process '
          f'{hosts.index()} has {dict(_flat(ours)).get(name)!r}: expected the '
          'same command on all'
        )
  logging.info(
    'Process %d of %d, %d of %d devices, %s, jax %s',
    hosts.index(),
    hosts.count(),
    jax.local_device_count(),
    jax.device_count(),
    jax.devices()[0].device_kind,
    jax.__version__,
  )


def _flat(tree: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Yields the fields of nested dicts, with dots in their names."""
  for name, value in tree.items():
    if isinstance(value, dict):
      yield from _flat(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value


def _run(
  work: Callable[[], Any],
  argv: list[str],
  parse: Callable[[list[str]], list[str]],
) -> None:
  """Parses the command line, does the work and exits as the module says."""

  def main(rest: list[str]) -> None:
    if len(rest) > 1:
      raise errors.InputError(
        f'unexpected argument {rest[1]!r}: expected only --flags'
      )
    work()

  logging.set_verbosity(logging.INFO)
  logging.set_stderrthreshold('info')
  logging.get_absl_handler().addFilter(_speaks_of_this_project)
  try:
    app.run(main, argv=argv, flags_parser=parse)
  except errors.InputError as e:
    _exit(2, f'error: {_one_line(e)}')
  except preemption.Preempted:
    _exit(75, 'saved after a preemption: run the same command again')
  except errors.FaultError as e:
    _exit(1, f'error: {_one_line(e)}')
  except Exception as e:
    if hosts.count() == 1:
      raise
    # At the end of a process JAX waits for the others, which wait for this.
    traceback.print_exc()
    _exit(1, f'error: process {hosts.index()}: {_one_line(e)}')


def _beside_launch(config: str) -> str:
  """Finds a config that is not below the current folder where launch is."""
  name, colon, argument = config.partition(':')
  here = pathlib.Path(__file__).parents[1] / name
  if os.path.exists(name) or not here.exists():
    return config
  return f'{here}{colon}{argument}'


def _parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; what is wrong with them becomes an InputError."""
  try:
    return flags.FLAGS(argv)
  except SystemExit:  # absl leaves with 1 after printing --help.
    sys.exit(0)
  except flags.Error as e:
    raise errors.InputError(f'bad flag: {_one_line(e)}') from e


def _parse(argv: list[str]) -> list[str]:
  """Parses flags and the config, as `_parse_flags` does."""
  try:
    rest = flags.FLAGS(argv)
  except SystemExit:  # absl leaves with 1 after printing --help.
    if isinstance(_config(), ml_collections.ConfigDict):
      print('\n'.join(['\nFields of the config:', *_fields(_config())]))
    sys.exit(0)
  except (flags.Error, TypeError, ValueError) as e:
    raise errors.InputError(f'bad flag: {_one_line(e)}') from e
  except Exception as e:  # The file is Python and may raise anything.
    if isinstance(e, AttributeError) and isinstance(e.args[0], KeyError):
      raise errors.InputError(
        f'bad flag: the config has no field {e.args[0].args[0]}: expected one '
        'of those that --help shows'
      ) from e
    raise errors.InputError(
      f'bad --config: {type(e).__name__}: {_one_line(e)}'
    ) from e
  if not isinstance(_config(), ml_collections.ConfigDict):
    name = config_flags.get_config_filename(flags.FLAGS['config'])
    raise errors.InputError(
      f'bad --config: no config at {name!r}: expected FILE.py or '
      'FILE.py:ARGUMENT'
    )
  return rest


def _config() -> Any:
  """The config, or what stands for one that cannot be read."""
  return flags.FLAGS['config'].value


def _fields(
  config: ml_collections.ConfigDict, prefix: str = '--config.'
) -> Iterator[str]:
  """Yields a line for each field and its value, as a flag would set it."""
  for name, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      yield from _fields(value, f'{prefix}{name}.')
    else:
      yield f'  {prefix}{name}={value!r}'


def _speaks_of_this_project(record: Any) -> bool:
  """Drops what JAX and Orbax tell of their inner workings at level INFO."""
  theirs = any(part in record.pathname for part in ('/jax/_src/', '/orbax/'))
  return record.levelno > 20 or not theirs


def _one_line(e: BaseException) -> str:
  """The message; of a traceback that was put into it, its last line."""
  before, *traceback = str(e).split('Traceback (most recent call last):')
  last = traceback[-1].strip().splitlines()[-1:] if traceback else []
  return ' '.join(' '.join([before, *last]).split())


def _exit(code: int, line: str) -> None:
  print(line, file=sys.stderr, flush=True)
  if hosts.count() > 1:
    hosts.part(_PARTING_SECONDS)
    os._exit(code)  # No waiting for others, some of which may be gone.
  sys.exit(code)


def keep_float32() -> None:
  """Has products of float32 computed in float32, unless JAX was told else.

  Accelerators round their factors by default, to 8 bits or to 11: an effect
  would depend on where it is observed. Products of bfloat16 stay as fast.
  """
  if jax.config.values['jax_default_matmul_precision'] is None:
    jax.config.update('jax_default_matmul_precision', 'float32')


def require(config: ml_collections.ConfigDict, *names: str) -> None:
  """Checks that the fields that name a stage's inputs are set.

  Args:
    config: the config of this run.
    names: fields, with dots where they are nested.

  Raises:
    errors.InputError: naming the first that is empty, or not there.
  """
  for name in names:
    if not field(config, name):
      raise errors.InputError(
        f'--config.{name} is missing: expected a directory'
      )


def require_least(config: ml_collections.ConfigDict, **least: int) -> None:
  """Checks that fields are not below what makes sense.

  Args:
    config: the config of this run, or a part of it.
    **least: fields and their least values.

  Raises:
    errors.InputError: naming the first field that is too small, or not there.
  """
  for name, value in least.items():
    found = field(config, name)
    if found < value:
      raise errors.InputError(
        f'config has {name}={found}: expected at least {value}'
      )


def require_dtype(config: ml_collections.ConfigDict) -> None:
  """Checks the field `dtype`, that of the models which a stage loads.

  Raises:
    errors.InputError: if it is neither of the two.
  """
  dtype = field(config, 'dtype')
  if dtype not in artefact.DTYPES:
    raise errors.InputError(
      f'config has dtype={dtype!r}: expected {" or ".join(artefact.DTYPES)}'
    )


def require_mesh(config: ml_collections.ConfigDict, dry_run: bool) -> None:
  """Checks that there are the devices of `config.mesh`; a dry run needs none.

  Raises:
    errors.InputError: if there are not, or the mesh makes no sense.
  """
  make = mesh_lib.plan_mesh if dry_run else mesh_lib.make_mesh
  make(**field(config, 'mesh'))


def field(config: ml_collections.ConfigDict, name: str) -> Any:
  """Returns a field, which may be nested.

  Raises:
    errors.InputError: without it: then the config is of another binary.
  """
  try:
    return operator.attrgetter(name)(config)
  except AttributeError as e:
    raise errors.InputError(
      f'config has no field {name}: expected a configuration of this binary, '
      'see --help'
    ) from e
