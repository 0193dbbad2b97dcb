# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Preemption: SIGTERM asks a job to save at the next step and to leave."""

import signal


class Preempted(Exception):
  """The job saved its state and leaves; the same command goes on from there."""


_asked = False


def listen() -> None:
  """Starts to note SIGTERM in place of dying from it."""
  signal.signal(signal.SIGTERM, _note)


def asked() -> bool:
  """Whether the job was asked to leave."""
  return _asked


def _note(signum: int, frame: object) -> None:
  global _asked
  del signum, frame
  _asked = True


def check() -> None:
  """Leaves, at a place where everything that is done is already on disk.

  Raises:
    Preempted: if the job was asked to leave.
  """
  if _asked:
    raise Preempted
