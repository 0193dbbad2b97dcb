# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One side of a contest: a process that does its work whenever it is told to.

It needs no more than NumPy, since peers run it in environments of their own.
"""

from collections.abc import Callable
import dataclasses
import importlib.metadata
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Contestant:
  """What a side does.

  Attributes:
    run: what is timed.
    results: given what the run returns, how much was done as `count`, and what
      the other side's results are compared with. Single numbers are notes.
  """

  run: Callable[[], Any]
  results: Callable[[Any], Arrays]


def serve(
  prepare: Callable[[pathlib.Path, str], Contestant], packages: str
) -> None:
  """Prepares a contest and runs it for each line that is read.

  The process is started with a folder and a name. It answers with lines of
  JSON, `versions` first and then `seconds` of each run, whose results are kept
  as FOLDER/NAME.npz.

  Args:
    prepare: given the folder of the contest and the contestant's name, returns
      the contestant.
    packages: whose versions are told, with spaces between.
  """
  folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
  contestant = prepare(folder, name)
  versions = {p: importlib.metadata.version(p) for p in packages.split()}
  print(json.dumps({'versions': versions}), flush=True)
  for _ in sys.stdin:
    started = time.perf_counter()
    made = contestant.run()
    seconds = time.perf_counter() - started
    results = contestant.results(made)
    np.savez(folder / f'{name}.npz', allow_pickle=False, **results)
    print(json.dumps({'seconds': seconds}), flush=True)


def unequal_rows(ours: np.ndarray, theirs: np.ndarray, share: float) -> int:
  """How many rows of [R, ...] differ by more than a share of their greatest."""
  axes = tuple(range(1, ours.ndim))
  apart, most = np.abs(ours - theirs).max(axes), np.abs(ours).max(axes)
  return int(np.sum(~(apart <= share * most)))  # A NaN is not equal.


def read(folder: pathlib.Path) -> Arrays:
  """Reads what is to be done, which both sides read."""
  with np.load(folder / 'asked.npz') as found:
    return {key: found[key] for key in found.files}
