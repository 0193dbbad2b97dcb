# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs binaries as a shell would, without importing JAX for each of them.

As a program it reads command lines from stdin, as JSON: lists of a module and
its arguments. It runs each in a child of its own and prints, as JSON, the exit
code, stdout and stderr of each.
"""

import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]


class Ended(NamedTuple):
  """How a binary ended."""

  code: int
  stdout: str
  stderr: str


def run(*command_lines: list[str]) -> list[Ended]:
  """Runs binaries in the repository root, one after the other."""
  made = subprocess.run(
    [sys.executable, '-W', 'ignore', __file__],
    input=json.dumps(command_lines),
    stdout=subprocess.PIPE,
    text=True,
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    check=True,
  )
  return [Ended(*ended) for ended in json.loads(made.stdout)]


def _run_here(module: str, *arguments: str) -> None:
  """Becomes `python -m module arguments`."""
  file = ROOT / f'{module.replace(".", "/")}.py'
  sys.argv = [str(file), *arguments]
  runpy.run_module(module, run_name='__main__')


def _run_in_child(command_line: list[str]) -> Ended:
  with tempfile.TemporaryFile('w+') as out, tempfile.TemporaryFile('w+') as err:
    child = os.fork()
    if not child:
      os.dup2(out.fileno(), 1)
      os.dup2(err.fileno(), 2)
      code = 1
      try:
        _run_here(*command_line)
        code = 0
      except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
      except BaseException:
        sys.excepthook(*sys.exc_info())
      finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    out.seek(0)
    err.seek(0)
    return Ended(os.waitstatus_to_exitcode(status), out.read(), err.read())


if __name__ == '__main__':
  # What all of them import, and what defines flags only once.
  from launch import cli  # noqa: F401
  from selfexplain_jax.models import artefact  # noqa: F401
  from selfexplain_jax.training import loop  # noqa: F401

  json.dump([_run_in_child(line) for line in json.load(sys.stdin)], sys.stdout)
