# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Rounds of a contest whose sides are in one process, on one device."""

from collections.abc import Callable, Iterator
import dataclasses
import importlib.metadata
import statistics
import time
from typing import Any

import jax

from experiments.benchmarks import contestant
from experiments.benchmarks import kernels
from experiments.benchmarks.peers import shared

OURS = 'selfexplain_jax'

Sides = dict[str, tuple[Callable[[], contestant.Contestant], float | None]]


@dataclasses.dataclass(frozen=True)
class Contest:
  """One contest.

  Attributes:
    unit: of what is done, in the plural.
    ours: makes our side.
    peers: make each peer's side, and the least ratio that is aimed for, if any.
    different: how many of a peer's results are not ours.
    needed: operations of one of what is done, at least, given our results.
    variants: as peers, other forms of our own side.
  """

  unit: str
  ours: Callable[[], contestant.Contestant]
  peers: Sides
  different: Callable[[contestant.Arrays, contestant.Arrays], int]
  needed: Callable[[contestant.Arrays], float]
  variants: Sides = dataclasses.field(default_factory=dict)


def _timed(side: contestant.Contestant) -> tuple[float, Any]:
  started = time.perf_counter()
  made = side.run()
  return time.perf_counter() - started, made


def _alternate(
  ours: contestant.Contestant,
  make: Callable[[], contestant.Contestant],
  name: str,
  rounds: int,
) -> tuple[float, contestant.Arrays, dict[str, list[float]]]:
  """Runs another beside us.

  Returns:
    Seconds of its first run, its results, and seconds of both in all rounds.
  """
  theirs = make()
  first, made = _timed(theirs)
  results = theirs.results(made)
  seconds: dict[str, list[float]] = {OURS: [], name: []}
  for _ in range(rounds):
    seconds[OURS].append(_timed(ours)[0])
    seconds[name].append(_timed(theirs)[0])
  return first, results, seconds


def compete(
  contest: Contest, rounds: int, peak: float | None
) -> Iterator[dict[str, Any]]:
  """Runs a contest of us with each peer, and prints a line for each.

  Args:
    contest: whose sides are on the same device.
    rounds: timed runs of each side, by turns.
    peak: operations a second of the device; None if it is not known.

  Yields:
    What is found so far, by peer: rates a second, their ratio, how many results
    differ, and the shares of the peak.
  """
  ours = contest.ours()
  first, made = _timed(ours)
  mine = ours.results(made)
  print(f'  first run of ours: {first:.1f} s', flush=True)
  needed = contest.needed(mine)
  found: dict[str, Any] = {}
  # Our other forms last: what memory they take we keep.
  for name, (make, bar) in {**contest.peers, **contest.variants}.items():
    try:
      first, results, seconds = _alternate(ours, make, name, rounds)
    except RuntimeError as error:
      if not shared.lacks_memory(error):
        raise
      print(f'  {name}: not measured, for want of memory', flush=True)
      continue
    finally:
      shared.free()
    counts = {OURS: mine['count'], name: results['count']}
    rates = {
      side: [float(f'{counts[side] / one:.4g}') for one in each]
      for side, each in seconds.items()
    }
    middle = {side: statistics.median(each) for side, each in rates.items()}
    found[name] = one = {
      'unit': contest.unit,
      'rates': rates,
      'ratio': middle[OURS] / middle[name],
      'bar': bar,
      'different': contest.different(mine, results),
      'notes': {
        key: float(value)
        for key, value in mine.items()
        if not value.ndim and key not in ('count', 'operations')
      },
      'shares': {
        side: needed * rate / peak for side, rate in middle.items() if peak
      },
      'versions': {
        p: importlib.metadata.version(p)
        for p in ('jax', 'jaxlib', 'torch', 'transformers')
      },
      'machine': jax.devices()[0].device_kind,
    }
    shares = ', '.join(f'{s:.1%}' for s in one['shares'].values())
    print(
      f'  {name}: {middle[OURS]:g} over {middle[name]:g} {contest.unit}/s is '
      f'{one["ratio"]:.2f}; of the peak {shares}; {one["different"]} of '
      f'{results["count"]} differ; first run {first:.1f} s',
      flush=True,
    )
    yield found


def profile(contest: Contest, peak: float | None) -> None:
  """Runs our forms of a contest and prints what takes their time.

  Args:
    contest: whose peers are not asked.
    peak: operations a second of the device; None if it is not known.
  """
  forms = {OURS: contest.ours} | {
    name: make for name, (make, _) in contest.variants.items()
  }
  needed = 0.0
  for name, make in forms.items():
    form = make()
    first, made = _timed(form)
    results = form.results(made)
    if name == OURS:
      needed = contest.needed(results)
    rate = float(results['count']) / _timed(form)[0]
    share = f', {needed * rate / peak:.1%} of the peak' if peak else ''
    print(
      f'  {name}: {rate:g} {contest.unit}/s{share}; first run {first:.1f} s\n'
      f'{kernels.table(form.run)}',
      flush=True,
    )
