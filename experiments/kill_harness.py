# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Kills the quickstart at random moments and checks that nothing shows.

  python -m experiments.kill_harness --workdir=DIR --kills=20 --seed=0

Runs `launch.quickstart` undisturbed. Then, in a fresh folder, runs it again and
again, each time killing it at a moment drawn uniformly from the time that the
undisturbed run took, until it finishes; and begins anew in another folder until
there were as many kills as asked for. Each run must end with the same results,
byte for byte. Exits with 1 if any does not.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import NoReturn

from absl import app
from absl import flags
import numpy as np

from selfexplain_jax import files

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the runs; nothing may be there.', required=True
)
_KILLS = flags.DEFINE_integer('kills', 20, 'How often to kill.', lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of moments and signals.')
_CONFIG = flags.DEFINE_string(
  'config', 'experiments/quickstart.py:test', 'Config of the quickstart.'
)

# What a run ends with, as patterns below its workdir: all but configs, which
# name the workdir, logs with their times, and checkpoints.
_RESULTS = (
  'report.html',
  '*/metrics.json',
  '*/manifest.json',
  '*/model/*',
  '*/*.parquet',
  'store/*/c/**/*',
  'documents/*/c/**/*',
  'dictionary/dictionaries/**/*',
  '*/vectors/**/*',
  '*_evaluation/answers/*',
  '*_evaluation/report.html',
)

_SAVED = 75  # Exit code after a preemption.


@dataclasses.dataclass(frozen=True)
class Kill:
  """A start of the binary that was killed, or was not.

  Attributes:
    run: number of the folder.
    signal: name of the signal; empty if the run finished before it was due.
    seconds: from the start to the signal, or to the end.
    code: exit code; negative for the signal that it died from.
  """

  run: int
  signal: str
  seconds: float
  code: int


def digests(workdir: pathlib.Path) -> dict[str, str]:
  """Returns the SHA-256 of every result in a workdir by its relative name."""
  found = {
    file
    for pattern in _RESULTS
    for file in workdir.glob(pattern)
    if file.is_file()
  }
  return {
    str(file.relative_to(workdir)): files.digest(file.read_bytes())
    for file in sorted(found)
  }


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
  """Names the results that two runs do not share."""
  return sorted(
    name
    for name in expected.keys() | found.keys()
    if expected.get(name) != found.get(name)
  )


def _start(workdir: pathlib.Path) -> subprocess.Popen[bytes]:
  """Starts the quickstart; all runs share their compiled programs."""
  workdir.mkdir(parents=True, exist_ok=True)
  cache = pathlib.Path(_WORKDIR.value).absolute() / 'programs'
  with (workdir / 'log.txt').open('ab') as log:
    return subprocess.Popen(
      [
        sys.executable,
        '-m',
        'launch.quickstart',
        f'--config={_CONFIG.value}',
        f'--workdir={workdir}',
      ],
      stdout=log,
      stderr=log,
      env={
        **os.environ,
        'JAX_COMPILATION_CACHE_DIR': str(cache),
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      },
    )


def _undisturbed(workdir: pathlib.Path) -> float:
  """Runs to the end and returns the seconds that it took."""
  started = time.monotonic()
  if code := _start(workdir).wait():
    raise RuntimeError(f'{workdir} ended with {code}: see its log.txt')
  return time.monotonic() - started


def _start_and_kill(
  run: int, workdir: pathlib.Path, after: float, how: signal.Signals
) -> Kill:
  """Starts a run and sends a signal after some seconds, if it still runs."""
  started = time.monotonic()
  process = _start(workdir)
  sent = ''
  try:
    process.wait(after)
  except subprocess.TimeoutExpired:
    process.send_signal(how)
    sent = how.name
  return Kill(run, sent, time.monotonic() - started, process.wait())


def _kill_until_done(
  run: int,
  workdir: pathlib.Path,
  seconds: float,
  left: int,
  random: np.random.Generator,
) -> list[Kill]:
  """Starts and kills until the run finishes, at most `left` times.

  Raises:
    RuntimeError: if it ended in a way that is neither success nor the signal's.
  """
  kills: list[Kill] = []
  signals = (signal.SIGKILL, signal.SIGTERM)
  first = int(random.integers(2))
  while left:
    how = signals[(first + len(kills)) % 2]
    kills.append(_start_and_kill(run, workdir, random.uniform(0, seconds), how))
    code = kills[-1].code
    if code not in (0, _SAVED, -signal.SIGKILL, -signal.SIGTERM):
      raise RuntimeError(f'{workdir} ended with {code}: see its log.txt')
    left -= bool(kills[-1].signal)
    if not code:
      return kills
  _undisturbed(workdir)
  return kills


def _refuse(what: str) -> NoReturn:
  print(f'error: {what}', file=sys.stderr)
  sys.exit(2)


def _parse(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as e:
    _refuse(f'bad flag: {" ".join(str(e).split())}')


def main(argv: list[str]) -> None:
  """Prints each kill, and what differs."""
  if len(argv) > 1:
    _refuse(f'unexpected argument {argv[1]!r}: expected only --flags')
  root = pathlib.Path(_WORKDIR.value).absolute()
  if root.exists() and any(root.iterdir()):
    _refuse(f'{root} is not empty: expected a new folder')
  _undisturbed(root / 'undisturbed')
  # Programs are compiled now; how long is a run that finds them?
  seconds = _undisturbed(root / 'again')
  expected = digests(root / 'undisturbed')
  wrong = differences(expected, digests(root / 'again'))
  print(f'{len(expected)} results; {seconds:.0f} s undisturbed')
  print(f'{"run":>4} {"signal":8} {"after":>7} {"exit":>5}', flush=True)

  random = np.random.default_rng([_SEED.value])
  killed = run = 0
  while killed < _KILLS.value:
    run += 1
    workdir = root / f'run_{run}'
    kills = _kill_until_done(
      run, workdir, seconds, _KILLS.value - killed, random
    )
    for kill in kills:
      print(
        f'{kill.run:4} {kill.signal or "none":8} {kill.seconds:6.1f}s '
        f'{kill.code:5}'
      )
    killed += sum(bool(kill.signal) for kill in kills)
    different = differences(expected, digests(workdir))
    print(f'{run:4} {len(different)} results differ', *different, flush=True)
    wrong += different
  print(f'{killed} kills in {run} runs; {len(wrong)} differences')
  if wrong:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main, flags_parser=_parse)
