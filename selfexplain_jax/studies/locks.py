# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Locks: what one process is doing, others wait for or leave alone.

They are files in a folder `locks` of the workdir, and hold as long as the
process lives: the operating system lets go of them, however it ends. In object
stores, which have none, nothing is locked, and one process works alone.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import pathlib
import time

from selfexplain_jax import files
from selfexplain_jax.distributed import preemption

_POLL = 0.5  # Seconds between two tries.


@contextlib.contextmanager
def hold(
  workdir: files.PathLike, name: str, wait: bool = True
) -> Iterator[bool]:
  """Holds a lock while the block runs, and yields whether it is held.

  Args:
    workdir: whose processes share it.
    name: of the lock, and of its file.
    wait: for others to let go of it; without, it may not be held.

  Raises:
    preemption.Preempted: if the process was asked to leave while it waited.
  """
  if '://' in str(workdir):
    yield True
    return
  folder = pathlib.Path(workdir) / 'locks'
  folder.mkdir(parents=True, exist_ok=True)
  file = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
  try:
    held = _try(file)
    while wait and not held:
      preemption.check()
      time.sleep(_POLL)
      held = _try(file)
    yield held
  finally:
    os.close(file)


def _try(file: int) -> bool:
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  return True
