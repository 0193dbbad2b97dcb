# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One of two processes, of which the second gets SIGTERM; prints a result.

python -m tests.distributed.leaving_worker COORDINATOR PROCESS WHEN

WHEN is `before` the first of them asks whether to leave, or `between` two times
that they ask; between all of these they speak of other things.
"""

import json
import os
import signal
import sys
import time

from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption

_TIMES = 40


def main() -> None:
  """Prints at which call this process was told to leave."""
  coordinator, process, when = sys.argv[1:]
  hosts.initialize(2, coordinator, int(process), 60)
  hosts.gather(0)
  second = hosts.index() == 1
  if when == 'before' and second:
    os.kill(os.getpid(), signal.SIGTERM)
  if when == 'before':
    time.sleep(2)  # Until the other has heard of it.
  told = None
  for time_ in range(_TIMES):
    hosts.barrier('other things')
    hosts.agree(time_)
    if preemption.asked():
      told = time_
      break
    if when == 'between' and second and time_ == 3:
      os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
  print(f'\nresult {json.dumps(told)}', flush=True)
  hosts.part(10)
  os._exit(0)


if __name__ == '__main__':
  main()
