# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Preemption: a job is asked to save at its next step and to leave.

SIGTERM asks, and so does the first Ctrl-C. Of several processes it is enough if
one gets SIGTERM; all of them leave at the same place.
"""

import os
import signal

from selfexplain_jax.distributed import hosts


class Preempted(Exception):
  """The job saved its state and leaves; the same command goes on from there."""


_asked = False


def listen() -> None:
  """Starts to note SIGTERM, and SIGINT once, in place of dying from it.

  Of several processes JAX notes SIGTERM already.
  """
  if hosts.count() > 1:
    return
  signal.signal(signal.SIGTERM, _note)
  signal.signal(signal.SIGINT, _note)


def ask() -> None:
  """Asks the job to leave: all of its threads."""
  global _asked
  _asked = True


def asked() -> bool:
  """Whether the job was asked to leave.

  Of several processes all get the same answer: all have to ask equally often.
  """
  if hosts.count() > 1 and hosts.told_to_leave():
    ask()
  return _asked


def _note(signum: int, frame: object) -> None:
  del frame
  ask()
  if signum == signal.SIGINT:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A handler must not use buffered files, which may be in use already.
    os.write(2, b'\nSaving at the next step; Ctrl-C again to leave now.\n')


def check() -> None:
  """Leaves, at a place where everything that is done is already on disk.

  Raises:
    Preempted: if the job was asked to leave.
  """
  if asked():
    raise Preempted
