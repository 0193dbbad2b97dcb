# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Starts worker modules as processes of their own, and reads their results."""

from collections.abc import Sequence
import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

from experiments.kills import killing

_SECONDS = 300


class Ended(NamedTuple):
  """A worker that succeeded: its result, and what it said on stderr."""

  result: Any
  said: str


def port() -> str:
  """Returns a port that nobody listens on."""
  return str(killing.free_port())


def run(module: str, *arguments: Sequence[str]) -> list[Ended]:
  """Runs a worker, once with each of the arguments, at the same time.

  Args:
    module: of tests.distributed; it prints `result` and JSON as its last line.
    *arguments: of each process.

  Raises:
    AssertionError: if one fails, with what it said.
  """
  workers = [
    subprocess.Popen(
      [sys.executable, '-m', f'tests.distributed.{module}', *own],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
    )
    for own in arguments
  ]
  ended = [worker.communicate(timeout=_SECONDS) for worker in workers]
  found = []
  for worker, (printed, said) in zip(workers, ended, strict=True):
    assert worker.returncode == 0, f'{module}: {said[-3000:]}'
    # What connects processes prints lines of its own.
    found.append(Ended(json.loads(printed.rpartition('result ')[2]), said))
  return found
