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

from selfexplain_jax import errors
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
    errors.InputError: if the file system has no locks, or forbids them.
    preemption.Preempted: if the process was asked to leave while it waited.
  """
  if '://' in str(workdir):
    yield True
    return
  place = pathlib.Path(workdir) / 'locks' / name
  with contextlib.ExitStack() as stack:
    try:
      place.parent.mkdir(parents=True, exist_ok=True)
      # For all who may write to the folder.
      file = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
      stack.callback(os.close, file)
      held = _try(file)
    except OSError as e:
      raise errors.InputError(
        f'{place} cannot be locked ({e.strerror}): expected a workdir that can '
        'be written to, on a file system with locks'
      ) from e
    while wait and not held:
      preemption.check()
      time.sleep(_POLL)
      held = _try(file)
    yield held


def _try(file: int) -> bool:
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  return True
