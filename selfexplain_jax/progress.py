# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterable, Iterator
import sys
import threading
import time
from typing import TypeVar

from absl import logging
import tqdm

from selfexplain_jax.distributed import hosts

T = TypeVar('T')

_SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
  """Yields the items of some work and shows how far it is.

  Args:
    items: the steps of the work.
    total: how many there are.
    what: what each of them is, in the plural, such as 'batches of cells'.
  """
  if not hosts.is_lead():
    yield from items
    return
  # Bars of work in several threads would write over each other.
  alone = threading.current_thread() is threading.main_thread()
  if alone and sys.stderr.isatty():
    yield from tqdm.tqdm(items, total=total, desc=what, leave=False)
    return
  start = shown = time.monotonic()
  for done, item in enumerate(items):
    yield item
    now = time.monotonic()
    if now - shown > _SECONDS_BETWEEN_LINES:
      logging.info('%s: %d of %d, %.0f s', what, done + 1, total, now - start)
      shown = now
  logging.info('%s: %d, %.1f s', what, total, time.monotonic() - start)
