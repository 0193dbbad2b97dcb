# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""One of several processes that speak; prints a line `result JSON`.

python -m tests.distributed.hosts_worker COORDINATOR PROCESSES PROCESS FOLDER
"""

from collections.abc import Callable
import json
import os
import sys
import time
from typing import Any

import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import feeding
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import mesh as mesh_lib


class _Counters:
  """Rows that hold their own number; notes which are read."""

  def __init__(self, rows: int):
    self._rows, self.read = rows, list[int]()

  def __len__(self) -> int:
    return self._rows

  def __getitem__(self, index: int) -> feeding.Row:
    self.read.append(index)
    return {'number': np.array([index, -index], np.int32)}


def _fed(batch: int) -> tuple[list[list[int]], list[int]]:
  """Batches after the first, as all devices hold them, and what was read."""
  rows = _Counters(3 * batch)
  batches = list(feeding.batches(rows, batch, 1))
  numbers = [hosts.fetch(one['number'])[:, 0].tolist() for one in batches]
  return numbers, rows.read


def _compiled(do: Callable[[], Any]) -> int:
  """Returns how many programs something compiles."""
  found = list[str]()

  def listen(event: str, duration_secs: float, **more: str | int) -> None:
    del duration_secs, more
    found.append(event)

  jax.monitoring.register_event_duration_secs_listener(listen)
  do()
  return sum('backend_compile' in name for name in found)


def _from_lead_fails() -> str:
  def refuse() -> None:
    raise errors.InputError(f'found by {hosts.index()}')

  try:
    hosts.from_lead(refuse)
  except errors.InputError as e:
    return str(e)
  return ''


def _slowly() -> str:
  """Takes longer than one process waits for another elsewhere."""
  time.sleep(8)
  return 'at last'


def _wait_for(name: str) -> None:
  while not os.path.exists(name):
    time.sleep(0.05)


def main() -> None:
  """Prints what this process sees."""
  coordinator, processes, process, folder = sys.argv[1:]
  jax.config.update('jax_num_cpu_devices', 2)
  hosts.initialize(int(processes), coordinator, int(process), 5)
  me = hosts.index()
  files.write_json(files.path(folder) / 'shared.json', me)
  files.write_json(files.path(folder) / f'own_{me}.json', me, True)
  hosts.barrier('the files')
  mesh = mesh_lib.make_mesh(data=2, fsdp=2)
  with jax.set_mesh(mesh):
    split, split_read = _fed(8)
    odd, odd_read = _fed(5)  # Which no axis divides.
    again = _compiled(lambda: _fed(8))
  found = {
    'count': hosts.count(),
    'lead': hosts.is_lead(),
    'agreed': hosts.agree({'from': me}),
    'gathered': hosts.gather(me * 10),
    'made': hosts.from_lead(lambda: [me]),
    'slowly': hosts.from_lead(_slowly),
    'refused': _from_lead_fails(),
    'files': sorted(p.name for p in files.path(folder).iterdir()),
    'split': split,
    'split_read': split_read,
    'odd': odd,
    'odd_read': odd_read,
    'compiled_again': again,
  }
  if me == int(processes) - 1:  # Does not come to where the others wait.
    _wait_for(f'{folder}/over')
  else:
    try:
      hosts.barrier('the end of the test')
    except hosts.MissingError as e:
      found['missing'] = str(e)
    # Whoever ends first takes the others along.
    files.write_text(f'{folder}/over', '')
    time.sleep(1)
  print(f'\nresult {json.dumps(found)}', flush=True)
  os._exit(0)


if __name__ == '__main__':
  main()
