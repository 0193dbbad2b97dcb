# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Work that is done one piece at a time, with few that wait."""

import asyncio
from collections.abc import Callable
import concurrent.futures
from typing import TypeVar

_Result = TypeVar('_Result')


class BusyError(Exception):
  """So many wait that no more are taken."""


class Turns:
  """A thread that does one piece of work after the other.

  Devices run one program at a time anyway, and a model's caches are many times
  its input: work that came in at once and was begun at once would take as long,
  and memory besides.
  """

  def __init__(self, most: int):
    """Takes the most pieces that are under way or wait."""
    self._most, self._count = most, 0
    self._thread = concurrent.futures.ThreadPoolExecutor(1, 'turns')

  async def take(self, work: Callable[[], _Result]) -> _Result:
    """Returns what some work returns, once it is its turn.

    Raises:
      BusyError: if too many wait.
    """
    if self._count >= self._most:
      raise BusyError
    self._count += 1
    try:
      return await asyncio.get_running_loop().run_in_executor(
        self._thread, work
      )
    finally:
      self._count -= 1
