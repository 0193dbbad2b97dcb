# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Starts a training run and waits for the line of its first step.

  python -m experiments.benchmarks.startup FOLDER NAME

Both sides are ours (see `contestant`): as `cold` no program is in the
persistent compilation cache, else all are.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

from experiments.benchmarks import contestant

_PATIENCE = 600.0  # Seconds.


def write(folder: pathlib.Path) -> None:
  """Writes nothing: a world is made from its seed."""
  del folder


def different(ours: contestant.Arrays, theirs: contestant.Arrays) -> int:
  """There is nothing to compare."""
  del ours, theirs
  return 0


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the start of a run."""
  workdir, cache = folder / f'run_{name}', folder / f'cache_{name}'
  command = [
    *(sys.executable, '-m', 'launch.pretrain_target'),
    f'--workdir={workdir}',
    '--config=experiments/world/pretrain.py',
    '--config.steps=1',
  ]
  environment = {
    **os.environ,
    'JAX_COMPILATION_CACHE_DIR': str(cache),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.5',
  }

  def run() -> None:
    if name == 'cold':
      shutil.rmtree(cache, ignore_errors=True)
    shutil.rmtree(workdir, ignore_errors=True)
    with (folder / f'{name}_run.log').open('w') as log:
      process = subprocess.Popen(
        command, env=environment, stdout=log, stderr=log
      )
      end = time.monotonic() + _PATIENCE
      lines = workdir / 'metrics.jsonl'
      while not (lines.exists() and lines.stat().st_size):
        if process.poll() is not None or time.monotonic() > end:
          raise RuntimeError(f'no step was done: see {folder}/{name}_run.log')
        time.sleep(0.01)
      process.kill()
      process.wait()

  return contestant.Contestant(run, lambda _: {'count': np.array(1)})


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
