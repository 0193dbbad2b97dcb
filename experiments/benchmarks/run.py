# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Runs contests against peers side by side, and writes what they took.

  python -m venv /tmp/peers
  /tmp/peers/bin/pip install -e '.[peers,reference]'
  python -m venv /tmp/old_peers
  /tmp/old_peers/bin/pip install dictionary-learning
  JAX_PLATFORMS=cpu python -m experiments.benchmarks.run \
    --workdir=/tmp/contests --peers=/tmp/peers/bin/python \
    --old_peers=/tmp/old_peers/bin/python

Each contest is between processes that hold the same weights and inputs and have
as many threads. They take turns, after a first run each that is not timed and
whose results have to be equal. What was found is kept in
experiments/results/contests, and docs/performance.md is written from it.
"""

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from absl import app
from absl import flags
import numpy as np

from experiments.benchmarks import contests as contests_lib
from experiments.benchmarks import table

_WORKDIR = flags.DEFINE_string('workdir', None, 'For inputs.', required=True)
_PEERS = flags.DEFINE_string(
  'peers', None, 'Python that has the peers.', required=True
)
_OLD_PEERS = flags.DEFINE_string(
  'old_peers', None, 'Python that has dictionary-learning.', required=True
)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed runs.', lower_bound=1)
_THREADS = flags.DEFINE_integer('threads', 2, 'Of each side.', lower_bound=1)
_CONTESTS = flags.DEFINE_list('contests', [], 'Which; all by default.')

_OURS = 'selfexplain_jax'


@contextlib.contextmanager
def _contestant(
  folder: pathlib.Path, name: str, module: str
) -> Iterator[subprocess.Popen[str]]:
  """Starts one side of a contest."""
  python = sys.executable
  if module.startswith('peers.'):
    old = module == 'peers.dictionary_learning'
    python = _OLD_PEERS.value if old else _PEERS.value
  threads = str(_THREADS.value)
  environment = {
    **os.environ,
    **dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS'), threads),
    'JAX_PLATFORMS': 'cpu',
    'HF_HUB_OFFLINE': '1',
    'JAX_COMPILATION_CACHE_DIR': str(folder / 'programs'),
  }
  module = f'experiments.benchmarks.{module}'
  command = [python, '-m', module, str(folder), name]
  if hasattr(os, 'sched_setaffinity'):
    cores = sorted(os.sched_getaffinity(0))[: _THREADS.value]
    command = ['taskset', '-c', ','.join(map(str, cores)), *command]
  with (
    (folder / f'{name}.log').open('w') as log,
    subprocess.Popen(
      command,
      env=environment,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=log,
      text=True,
    ) as process,
  ):
    yield process
    assert process.stdin is not None
    process.stdin.close()


def _answer(process: subprocess.Popen[str], name: str, key: str) -> Any:
  """Reads lines until one is an answer; libraries print others too."""
  assert process.stdout is not None
  for line in process.stdout:
    if line.startswith('{"') and key in (answer := json.loads(line)):
      return answer[key]
  raise RuntimeError(f'{name} ended: see its log')


def _timed(process: subprocess.Popen[str], name: str) -> float:
  assert process.stdin is not None
  process.stdin.write('run\n')
  process.stdin.flush()
  return _answer(process, name, 'seconds')


def _contest(
  folder: pathlib.Path, contest: contests_lib.Contest, peer: str
) -> dict[str, Any]:
  """Runs one contest between us and a peer."""
  module, bar = contest.peers[peer]
  with (
    _contestant(folder, _OURS, contest.ours) as ours,
    _contestant(folder, peer, module) as theirs,
  ):
    sides = {_OURS: ours, peer: theirs}
    versions: dict[str, str] = {}
    for side, process in sides.items():
      versions |= _answer(process, side, 'versions')
    for side, process in sides.items():
      _timed(process, side)
    results = dict[str, dict[str, np.ndarray]]()
    for side in sides:
      with np.load(folder / f'{side}.npz') as found:
        results[side] = {key: found[key] for key in found.files}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(_ROUNDS.value):
      for side, process in sides.items():
        seconds[side].append(_timed(process, side))
  rates = {
    side: [float(f'{results[side]["count"] / one:.4g}') for one in each]
    for side, each in seconds.items()
  }
  middle = {side: statistics.median(each) for side, each in rates.items()}
  return {
    'unit': contest.unit,
    'rates': rates,
    'ratio': middle[_OURS] / middle[peer],
    'bar': bar,
    'different': contest.different(results[_OURS], results[peer]),
    'notes': {
      key: float(value)
      for key, value in results[_OURS].items()
      if not value.ndim and key != 'count'
    },
    'versions': versions,
    'machine': _machine(),
  }


def _machine() -> str:
  """Names the processor, as far as the system tells."""
  told = pathlib.Path('/proc/cpuinfo')
  lines = (
    told.read_text().split('\n\n')[0].splitlines() if told.exists() else []
  )
  fields = dict(line.replace('\t', '').split(':', 1) for line in lines)
  name, family, model = (
    fields.get(n, ' ?').strip() for n in ('model name', 'cpu family', 'model')
  )
  return f'{name}, family {family}, model {model}, {_THREADS.value} cores'


def main(argv: list[str]) -> None:
  """Runs the contests and prints a line for each."""
  del argv
  table.RESULTS.mkdir(parents=True, exist_ok=True)
  for name in _CONTESTS.value or contests_lib.CONTESTS:
    contest = contests_lib.CONTESTS[name]
    folder = pathlib.Path(_WORKDIR.value).absolute() / name
    folder.mkdir(parents=True, exist_ok=True)
    contest.write(folder)
    found: dict[str, Any] = {}
    for peer in contest.peers:
      one = found[peer] = _contest(folder, contest, peer)
      ours, theirs = (statistics.median(r) for r in one['rates'].values())
      print(
        f'{name} {peer}: {ours:g} over {theirs:g} {contest.unit}/s is '
        f'{one["ratio"]:.2f}, expected {one["bar"]}; {one["different"]} differ',
        flush=True,
      )
      kept = table.RESULTS / f'{name}.json'
      kept.write_text(json.dumps(found, indent=1))
      table.write()


if __name__ == '__main__':
  app.run(main)
