# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The processes of a job: each runs the same program over all devices.

Arrays span the devices of all processes; files are written by process 0 alone
(see `files`). What rests on something that only one process knows, such as
whether a file is there yet, is passed on by `agree`: processes that decide
differently run different programs, and wait for each other without end.

Here alone the runtime of JAX for several processes is started and spoken to.
With one process there is none.
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import itertools
import json
import os
import re
import sys
import threading
import time
from typing import Any

from absl import logging
import jax
from jax._src import distributed  # The service of keys has no public name.
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from selfexplain_jax import errors

# A process of which nothing was heard for so long has died: the others end.
_HEARTBEAT_SECONDS = 60

# What JAX waits for longer than we do, so that it is we who say it.
_GRACE_SECONDS = 60

# That the news of a barrier takes to the others, and they to end, at most.
_HEARING_SECONDS = 1.0

_asked = itertools.count()
# JAX has all leave at the number after the highest that any has asked with, so
# no number may be left out.
_sync_points = itertools.count(1)
_timeout_seconds = 1800


class MissingError(errors.FaultError):
  """A process did not come to where the others wait for it."""


def initialize(
  processes: int,
  coordinator: str | None = None,
  process: int | None = None,
  timeout_seconds: int = 1800,
) -> None:
  """Joins the other processes of the job; before anything else of JAX.

  Args:
    processes: how many there have to be.
    coordinator: address and port of process 0; None where the platform tells
      (TPU, GKE, Slurm).
    process: number of this one; None where the platform tells.
    timeout_seconds: how long one waits for another, here and later.

  Raises:
    errors.InputError: if the platform tells nothing, or there is another number
      of processes.
  """
  global _timeout_seconds
  _timeout_seconds = timeout_seconds
  if (coordinator is None) != (process is None):
    raise errors.InputError(
      'expected --coordinator and --process together, or neither where the '
      'platform tells them'
    )
  if process is not None and not 0 <= process < processes:
    raise errors.InputError(
      f'--process={process}: expected 0 to {processes - 1}, as there are '
      f'--processes={processes}'
    )
  try:
    with _or_leaves(processes, process):
      jax.distributed.initialize(
        coordinator,
        None if coordinator is None else processes,
        process,
        initialization_timeout=timeout_seconds + _GRACE_SECONDS,
        heartbeat_timeout_seconds=min(_HEARTBEAT_SECONDS, timeout_seconds),
      )
  except ValueError as e:
    raise errors.InputError(
      f'--processes={processes}, and the platform does not tell which they '
      'are: expected --coordinator=HOST:PORT and --process'
    ) from e
  if count() != processes:
    raise errors.InputError(
      f'--processes={processes}, and this job has {count()}: expected the same '
      'number'
    )


@contextlib.contextmanager
def _or_leaves(processes: int, process: int | None) -> Iterator[None]:
  """Leaves with one line if the others do not come.

  JAX would write a stack trace and abort; nobody knows yet who is here.
  """

  def leave() -> None:
    who = 'one' if process is None else f'process {process}'
    print(
      f'error: not all of --processes={processes} came within '
      f'{_timeout_seconds} s; this {who} did: expected all to be started with '
      'the same --processes and --coordinator, see which has no such line',
      file=sys.stderr,
      flush=True,
    )
    os._exit(1)  # No Python error can leave what it waits in.

  timer = threading.Timer(_timeout_seconds, leave)
  timer.daemon = True
  timer.start()
  try:
    yield
  finally:
    timer.cancel()


def count() -> int:
  """Processes of the job."""
  return distributed.global_state.num_processes


def index() -> int:
  """Number of this process, from 0."""
  return distributed.global_state.process_id


def is_lead() -> bool:
  """Whether this is process 0, which writes what all have made."""
  return index() == 0


def agree(value: Any, patient: bool = False) -> Any:
  """Returns the value that process 0 has, which is JSON.

  All processes have to call it, in the same order. Nothing is computed on
  devices, so it may be called at any time.

  Args:
    value: that of this process.
    patient: wait for as long as process 0 lives.

  Raises:
    MissingError: if process 0 does not come, and nobody is patient.
  """
  if count() == 1:
    return value
  key = f'agree/{next(_asked)}'
  if is_lead():
    _client().key_value_set(key, json.dumps(value))
    return value
  return json.loads(_wait_for(key, 0, patient))


def from_lead(make: Callable[[], Any]) -> Any:
  """Returns what process 0 makes, which is JSON; the others wait for it.

  For what takes long, or has to be done once, such as asking an endpoint. They
  wait for as long as process 0 lives: its death ends them.

  Raises:
    errors.InputError: in all processes, if process 0 finds one.
  """
  if count() == 1:
    return make()
  found: dict[str, Any] = {}
  if is_lead():
    try:
      found = {'made': make()}
    except errors.InputError as e:
      found = {'error': str(e)}
  found = agree(found, patient=True)
  if 'error' in found:
    raise errors.InputError(found['error'])
  return found['made']


def gather(value: Any, patient: bool = False) -> list[Any]:
  """Returns the values of all processes in order; they are JSON.

  As `agree`, otherwise.
  """
  if count() == 1:
    return [value]
  key = f'gather/{next(_asked)}'
  _client().key_value_set(f'{key}/{index()}', json.dumps(value))
  return [
    json.loads(_wait_for(f'{key}/{process}', process, patient))
    for process in range(count())
  ]


def barrier(name: str) -> None:
  """Waits until all processes are here.

  Args:
    name: what they wait for, in words.

  Raises:
    MissingError: naming the processes that do not come.
  """
  if count() == 1:
    return
  place = f'{name}/{next(_asked)}'
  try:
    _client().wait_at_barrier(place, _timeout_seconds * 1000)
  except jax.errors.JaxRuntimeError as e:
    raise MissingError(_missing(name, e)) from e


def part(seconds: int) -> None:
  """Waits a while for the others, who have to end too, and lets go of them.

  A process that ends at once takes down those that still say why they do.
  """
  try:
    _client().wait_at_barrier('part', seconds * 1000)
    if is_lead():
      # The others are told by this process that all are here, and have to hear
      # it: whoever loses it before is taken down.
      time.sleep(_HEARING_SECONDS)
  except jax.errors.JaxRuntimeError:
    pass  # They do not know yet.


def told_to_leave() -> bool:
  """Whether a process got SIGTERM, and this is where all of them leave.

  Of several processes: one of them gets it, and all have to leave at the same
  call, which is a little later. All have to call it equally often.
  """
  return multihost_utils.reached_preemption_sync_point(next(_sync_points))


def fetch(tree: Any) -> Any:
  """Returns arrays on devices as arrays of NumPy, whole in every process.

  Those that are split over processes are gathered first, on the devices: all
  processes have to call it, in the same order.
  """
  return jax.device_get(gathered(tree))


def gathered(tree: Any) -> Any:
  """Returns arrays with all of each on the devices of every process.

  What only some processes go on to read need not be fetched by the others; but
  all have to call this.
  """
  if count() == 1:
    return tree
  return jax.tree.map(_whole, tree)


def _whole(value: Any) -> Any:
  if not isinstance(value, jax.Array) or value.is_fully_addressable:
    return value
  if not value.is_fully_replicated:
    mesh: Any = jax.sharding.get_mesh()
    if isinstance(value.sharding, NamedSharding):
      mesh = value.sharding.mesh
    value = _to_all(NamedSharding(mesh, PartitionSpec()))(value)
  return value.addressable_data(0)


@functools.cache
def _to_all(everywhere: NamedSharding) -> Callable[[jax.Array], jax.Array]:
  """Returns what copies arrays: one function, or each call compiles its own."""
  return jax.jit(lambda x: x, out_shardings=everywhere)


def _client() -> Any:
  return distributed.global_state.client


def _wait_for(key: str, process: int, patient: bool = False) -> str:
  """Returns the value of a key that another process sets."""
  while True:
    try:
      return _client().blocking_key_value_get(key, _timeout_seconds * 1000)
    except jax.errors.JaxRuntimeError as e:
      if patient and 'DEADLINE_EXCEEDED' in str(e):
        logging.info('Waiting for process %d', process)
        continue
      raise MissingError(
        f'process {process} did not answer within {_timeout_seconds} s'
      ) from e


def _missing(name: str, error: Exception) -> str:
  """Says which processes did not come to a place."""
  lines = str(error).partition('timed out task names:')[2].strip().splitlines()
  found = [re.search(r'(\d+)$', line.strip()) for line in lines]
  numbers = sorted(int(match[1]) for match in found if match)
  which = ', '.join(map(str, numbers)) or 'unknown'
  return (
    f'of {count()} processes not all came to {name} within {_timeout_seconds} '
    f's: missing {which}, see their logs'
  )
