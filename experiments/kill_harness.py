# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Kills every binary at random moments and checks that nothing shows.

  python -m experiments.kill_harness --workdir=DIR --kills=20 --seed=0

Runs a small quickstart once, whose stages are what each binary reads. Then runs
each binary undisturbed, twice, to know what it ends with and how long it takes;
and in fresh folders starts it again and again, each time killing it at a moment
drawn uniformly from that time, a third of them in the next save after that,
until it finishes; and begins anew until there were as many kills as asked for.
Every run must end with the same files, byte for byte. A job that gets SIGTERM
has to leave with 75, unless it does not listen yet, or has nothing left to do
but to end. Such kills are counted, and an error in the first three quarters of
a run.

`--binaries` names some of them; `quickstart` is the whole flow. With
`--processes=2` each is a job of two processes, of which one is killed. What is
found is kept in DIR/kills.json: the same command goes on from there. Exits with
1 if any file differs.
"""

import dataclasses
import pathlib
import shutil
import signal
import sys
from typing import Any, NoReturn

from absl import app
from absl import flags
import numpy as np

from experiments.kills import killing
from experiments.kills import stages
from selfexplain_jax import files

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder for the runs.', required=True
)
_KILLS = flags.DEFINE_integer(
  'kills', 20, 'How often to kill each binary.', lower_bound=1
)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of moments and signals.')
_PROCESSES = flags.DEFINE_integer(
  'processes', 1, 'Processes of each job.', lower_bound=1
)
_BINARIES = flags.DEFINE_list(
  'binaries',
  [*stages.BINARIES, stages.FLOW],
  'Which of them.',
)

_SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_SAVE_EVERY = 3  # Of so many kills one is to be within a save.
_ENDING = 0.75  # From this share of a run on it may have begun to end.
# Stages of this run side by side.
_FLOW_CONFIG = 'experiments/quickstart.py:test'


def _job(name: str, root: pathlib.Path) -> killing.Job:
  """Returns the job of a binary; all share their compiled programs."""
  binary, more = 'quickstart', list[str]()
  config = f'experiments/kills/stages.py:{name}'
  if name == stages.FLOW:
    config = _FLOW_CONFIG
  elif name in stages.BINARIES:
    binary = stages.BINARIES[name][0]
    more = list(stages.inputs(name, root / 'source'))
  return killing.Job(
    command=[
      *(sys.executable, '-m', f'launch.{binary}'),
      *(f'--config={config}', *more),
    ],
    processes=_PROCESSES.value,
    environment={
      'JAX_COMPILATION_CACHE_DIR': str(root / 'programs'),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    },
  )


def _harass(
  name: str, job: killing.Job, folder: pathlib.Path, number: int
) -> dict[str, Any]:
  """Kills a binary as often as asked for, and compares what it ends with."""
  job.undisturbed(folder / 'undisturbed')
  # Programs are compiled now; how long is a run that finds them?
  seconds = job.undisturbed(folder / 'again')
  expected = killing.digests(folder / 'undisturbed')
  wrong = killing.differences(expected, killing.digests(folder / 'again'))
  random = np.random.default_rng([_SEED.value, number])
  kills: list[killing.Kill] = []
  runs = 0
  while sum(bool(kill.signal) for kill in kills) < _KILLS.value:
    runs += 1
    workdir = folder / f'run_{runs}'
    first = True
    while True:
      left = _KILLS.value - sum(bool(kill.signal) for kill in kills)
      if not left:
        job.undisturbed(workdir)
        break
      saved = sum(kill.in_save for kill in kills)
      kill = job.kill(
        workdir,
        random.uniform(0, seconds),
        _SIGNALS[len(kills) % len(_SIGNALS)],
        saved * _SAVE_EVERY <= _KILLS.value - left,
        random,
      )
      kills.append(kill)
      if kill.unheard and first and kill.seconds < _ENDING * seconds:
        raise RuntimeError(
          f'{workdir} went on to its end of {seconds:.1f} s, and got SIGTERM '
          f'after {kill.seconds:.1f}: expected that it leaves with 75'
        )
      first = False
      print(
        f'{name:18} run {runs:2} {kill.signal or "none":8} '
        f'{kill.seconds:6.2f} s {"in a save" if kill.in_save else "":10} '
        f'{kill.codes}',
        flush=True,
      )
      if kill.finished:
        break
      allowed = {0, killing.SAVED, *(-s for s in _SIGNALS)}
      if job.processes == 1 and not {*kill.codes} <= allowed:
        raise RuntimeError(f'{workdir} ended with {kill.codes}: see log.txt')
    wrong += killing.differences(expected, killing.digests(workdir))
    shutil.rmtree(workdir)
  killed = [kill for kill in kills if kill.signal]
  return {
    'seconds': round(seconds, 1),
    'results': len(expected),
    'runs': runs,
    'kills': len(killed),
    'in_a_save': sum(kill.in_save for kill in killed),
    'SIGKILL': sum(kill.signal == 'SIGKILL' for kill in killed),
    'SIGTERM': sum(kill.signal == 'SIGTERM' for kill in killed),
    'unheard': sum(kill.unheard for kill in killed),
    'moments': [
      [kill.signal, round(kill.seconds, 2), *kill.codes] for kill in killed
    ],
    'different': wrong,
  }


def _table(found: dict[str, dict[str, Any]]) -> str:
  """Writes what was found, a line for each binary."""
  lines = [
    '| binary | undisturbed | results | kills | in a save | unheard | runs | '
    'different |',
    '|---|---|---|---|---|---|---|---|',
  ]
  for name, one in found.items():
    lines.append(
      f'| {name} | {one["seconds"]} s | {one["results"]} | {one["kills"]} | '
      f'{one["in_a_save"]} | {one["unheard"]} | {one["runs"]} | '
      f'{len(one["different"])} |'
    )
  return '\n'.join(lines)


def _refuse(what: str) -> NoReturn:
  print(f'error: {what}', file=sys.stderr)
  sys.exit(2)


def _parse(argv: list[str]) -> list[str]:
  try:
    return flags.FLAGS(argv)
  except flags.Error as e:
    _refuse(f'bad flag: {" ".join(str(e).split())}')


def main(argv: list[str]) -> None:
  """Kills each binary, and prints what differs."""
  known = [*stages.BINARIES, stages.FLOW]
  if len(argv) > 1:
    _refuse(f'unexpected argument {argv[1]!r}: expected only --flags')
  for name in _BINARIES.value:
    if name not in known:
      _refuse(f'--binaries={name}: expected some of {", ".join(known)}')
  root = pathlib.Path(_WORKDIR.value).absolute()
  kept = root / 'kills.json'
  asked = {
    'kills': _KILLS.value,
    'seed': _SEED.value,
    'processes': _PROCESSES.value,
  }
  content: dict[str, Any] = {**asked, 'binaries': {}}
  if kept.exists():
    content = files.read_json(kept, 'kills')
    if {name: content[name] for name in asked} != asked:
      _refuse(f'{kept} is of other flags: expected the same, or a new folder')
  elif root.exists() and any(root.iterdir()):
    _refuse(f'{root} is not empty: expected a new folder')
  files.write_json(kept, content)

  alone = dataclasses.replace(_job(stages.SOURCE, root), processes=1)
  alone.undisturbed(root / 'source')
  stages.write_published(root / 'source')
  found = content['binaries']
  for number, name in enumerate(known):
    if name in _BINARIES.value and name not in found:
      folder = root / name
      shutil.rmtree(folder, ignore_errors=True)  # Of a start that was killed.
      found[name] = _harass(name, _job(name, root), folder, number)
      files.write_json(kept, content)
  print(_table(found))
  wrong = [name for one in found.values() for name in one['different']]
  print(f'{len(wrong)} differences', *wrong)
  if wrong:
    sys.exit(1)


if __name__ == '__main__':
  app.run(main, flags_parser=_parse)
