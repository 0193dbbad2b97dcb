# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Starts a job of one process or several, kills it, and reads what it left."""

from collections.abc import Sequence
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time

import numpy as np

from selfexplain_jax import files

SAVED = 75  # Exit code after a preemption.

# What differs between two runs of one job: when it was, how far a start was.
# Parts of a search that are kept are no result, and may be removed.
_NO_RESULTS = (
  *('checkpoints', 'events', 'profile', 'search', 'metrics.jsonl'),
  *('goodput.jsonl', 'log.txt'),
)
# A process whose peers are gone notices within its heartbeat, 10 s here.
_PATIENCE_SECONDS = 60
_LOOK_SECONDS = 0.0002
# Small files are whole after milliseconds, checkpoints after tenths of seconds.
_DELAYS = (0.0002, 0.1)


@dataclasses.dataclass(frozen=True)
class Kill:
  """A start that was killed, or was not.

  Attributes:
    signal: its name; empty if the job had finished before it was due.
    seconds: from the start to the signal, or to the end.
    in_save: whether a save was under way.
    codes: exit codes of the processes; negative for a signal's number.
  """

  signal: str
  seconds: float
  in_save: bool
  codes: tuple[int, ...]

  @property
  def unheard(self) -> bool:
    """Whether it was asked to leave, and went on to its end."""
    return self.signal == 'SIGTERM' and self.finished

  @property
  def finished(self) -> bool:
    """Whether all processes ended as they should."""
    return not any(self.codes)


@dataclasses.dataclass(frozen=True)
class Job:
  """What is started again and again.

  Attributes:
    command: of one process, without the workdir.
    processes: how many; they are told from each other by flags.
    environment: besides that of this process.
  """

  command: Sequence[str]
  processes: int
  environment: dict[str, str]

  def start(self, workdir: pathlib.Path) -> list[subprocess.Popen[bytes]]:
    """Starts all processes."""
    workdir.mkdir(parents=True, exist_ok=True)
    shared: list[list[str]] = [[]]
    if self.processes > 1:
      port = free_port()
      shared = [
        [
          *(f'--processes={self.processes}', f'--process={process}'),
          *(f'--coordinator=127.0.0.1:{port}', '--host_timeout=10'),
        ]
        for process in range(self.processes)
      ]
    with (workdir / 'log.txt').open('ab') as log:
      return [
        subprocess.Popen(
          [*self.command, f'--workdir={workdir}', *own],
          stdout=log,
          stderr=log,
          env={**os.environ, **self.environment},
        )
        for own in shared
      ]

  def undisturbed(self, workdir: pathlib.Path) -> float:
    """Runs to the end and returns the seconds that it took."""
    started = time.monotonic()
    codes = [process.wait() for process in self.start(workdir)]
    if any(codes):
      raise RuntimeError(f'{workdir} ended with {codes}: see its log.txt')
    return time.monotonic() - started

  def kill(
    self,
    workdir: pathlib.Path,
    after: float,
    how: signal.Signals,
    in_save: bool,
    random: np.random.Generator,
  ) -> Kill:
    """Starts the job and kills one of its processes, if it still runs then.

    Args:
      workdir: of the job.
      after: seconds from the start to the signal.
      how: the signal.
      in_save: wait from then on for a save to begin, and for some of it.
      random: which process is killed, and how long into a save.
    """
    started = time.monotonic()
    stale = _half_written(workdir)  # What earlier starts left.
    processes = self.start(workdir)
    one = processes[int(random.integers(len(processes)))]
    sent, saving = '', False
    while one.poll() is None:
      late = time.monotonic() - started - after
      if late >= 0:
        saving = bool(_half_written(workdir) - stale)
        if in_save and not saving:
          time.sleep(_LOOK_SECONDS)
          continue
        if in_save:
          time.sleep(np.exp(random.uniform(*np.log(_DELAYS))))
          saving = bool(_half_written(workdir) - stale)
          if not saving:
            continue  # It was over sooner: the next one.
        one.send_signal(how)
        sent = how.name
        break
      time.sleep(min(0.02, -late))
    seconds = time.monotonic() - started
    one.wait()
    return Kill(sent, seconds, saving and bool(sent), _ended(processes))


def free_port() -> int:
  """Returns a port of this machine that nobody listens on."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    return free.getsockname()[1]


def _ended(processes: list[subprocess.Popen[bytes]]) -> tuple[int, ...]:
  """Waits for all processes; who does not end is ended."""
  limit = time.monotonic() + _PATIENCE_SECONDS
  for process in processes:
    try:
      process.wait(max(0.1, limit - time.monotonic()))
    except subprocess.TimeoutExpired:
      process.kill()
  return tuple(process.wait() for process in processes)


def _half_written(workdir: pathlib.Path) -> set[str]:
  """What in a workdir is being written, or was when its writer was killed."""
  found = set[str]()
  for folder, names, own in os.walk(workdir):
    found |= {f'{folder}/{name}' for name in own if '.partial-' in name}
    found |= {
      # Orbax gives each save of a step the same folder.
      f'{folder}/{name}/{os.stat(f"{folder}/{name}").st_ino}'
      for name in names
      if 'orbax-checkpoint-tmp' in name and os.path.exists(f'{folder}/{name}')
    }
    if folder.count(os.sep) - str(workdir).count(os.sep) > 1:
      names.clear()  # What is written lies no deeper.
  return found


def digests(workdir: pathlib.Path, name: str = '') -> dict[str, str]:
  """Returns the SHA-256 of every result in a workdir by its relative name.

  Args:
    workdir: the folder.
    name: of the workdir as it was run, which is in some results; its own if
      empty.
  """
  found = {}
  for file in sorted(workdir.rglob('*')):
    place = file.relative_to(workdir)
    if file.is_file() and not {*place.parts} & {*_NO_RESULTS}:
      content = file.read_bytes()
      # Some note where they lie.
      content = content.replace((name or str(workdir)).encode(), b'WORKDIR')
      found[str(place)] = files.digest(content)
  return found


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
  """Names the results that two runs do not share."""
  return sorted(
    name
    for name in expected.keys() | found.keys()
    if expected.get(name) != found.get(name)
  )
