# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Where the time of a run went, over all of its starts.

WORKDIR/goodput.jsonl has a line for each start, which is written again with
every line of the log: a run that is killed has lost what came after its last.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import json
import time
from typing import Any

from selfexplain_jax import files

FILE = 'goodput.jsonl'

# What the time of a start is spent on, in the order of the summary.
PHASES = (
  'start_up',
  'compiling',
  'input_wait',
  'steps',
  'evaluation',
  'checkpoint_wait',
)

_imported = time.time()


@dataclasses.dataclass(frozen=True)
class Summary:
  """Seconds of a run, over all of its starts.

  Attributes:
    wall: from the first start to the last note, all of it.
    phases: of `PHASES`; steps that were done again are not in `steps`.
    lost: in steps that were done again after a restart.
    down: between a start's last note and the next start.
    starts: how many there were.
  """

  wall: float
  phases: dict[str, float]
  lost: float
  down: float
  starts: int

  @property
  def goodput(self) -> float:
    """The share of the time that went into steps that counted."""
    return self.phases['steps'] / self.wall if self.wall else 0.0

  def __str__(self) -> str:
    parts = [f'{n.replace("_", " ")} {s:.1f} s' for n, s in self.phases.items()]
    return (
      f'goodput {self.goodput:.1%} of {self.wall:.1f} s: {", ".join(parts)}, '
      f'done again {self.lost:.1f} s, down {self.down:.1f} s; '
      f'{self.starts} start{"" if self.starts == 1 else "s"}'
    )


class Goodput:
  """The clock of one start; what is under no phase counts as steps."""

  def __init__(
    self,
    workdir: files.PathLike,
    clock: Callable[[], float] = time.time,
  ):
    """Starts the clock, in `start_up`.

    Args:
      workdir: holds `goodput.jsonl`.
      clock: returns seconds since any fixed moment.
    """
    self._file = files.path(workdir) / FILE
    self._clock = clock
    self._before = _read(self._file)
    now = clock()
    # The first run of a process starts with it.
    global _imported
    started = _imported if clock is time.time else now
    _imported = now
    if self._before:
      started = max(started, self._before[-1]['end'])
    self._line: dict[str, Any] = {
      'start': started,
      'end': now,
      'from_step': 0,
      'step': 0,
      'phases': dict.fromkeys(PHASES, 0.0),
    }
    self._phase, self._since = 'start_up', started

  def begin(self, step: int) -> None:
    """Notes that steps begin, after so many that were done before."""
    self._line['from_step'] = self._line['step'] = step
    self._enter('steps')

  def _enter(self, phase: str) -> str:
    """Goes over to another phase; returns the one before."""
    now = self._clock()
    self._line['phases'][self._phase] += now - self._since
    before, self._phase, self._since = self._phase, phase, now
    return before

  @contextlib.contextmanager
  def phase(self, name: str) -> Iterator[None]:
    """Counts what is done within as a phase."""
    before = self._enter(name)
    try:
      yield
    finally:
      self._enter(before)

  def seconds(self, name: str) -> float:
    """Seconds of a phase in this start, up to now."""
    self._enter(self._phase)
    return self._line['phases'][name]

  def note(self, step: int) -> None:
    """Writes how far it is."""
    self._enter(self._phase)
    self._line |= {'step': step, 'end': self._since}
    lines = [json.dumps(line) for line in [*self._before, self._line]]
    files.write_text(self._file, '\n'.join(lines) + '\n')

  def summary(self) -> Summary:
    """Returns where the time went until the last note."""
    return summary([*self._before, self._line])


def summary(lines: list[dict[str, Any]]) -> Summary:
  """Adds up the starts of a run."""
  phases = {
    name: sum(line['phases'][name] for line in lines) for name in PHASES
  }
  lost = down = 0.0
  for line, after in zip(lines, lines[1:], strict=False):
    down += after['start'] - line['end']
    done = line['step'] - line['from_step']
    again = line['step'] - after['from_step']
    if done > 0 and again > 0:
      # A start that went further back did steps of earlier starts again, too.
      lost += line['phases']['steps'] * min(1.0, again / done)
  phases['steps'] -= lost
  wall = lines[-1]['end'] - lines[0]['start'] if lines else 0.0
  return Summary(wall, phases, lost, down, len(lines))


def read(workdir: files.PathLike) -> Summary:
  """Returns where the time of a run went."""
  return summary(_read(files.path(workdir) / FILE))


def _read(file: Any) -> list[dict[str, Any]]:
  if not file.exists():
    return []
  return [json.loads(line) for line in file.read_text().splitlines()]
