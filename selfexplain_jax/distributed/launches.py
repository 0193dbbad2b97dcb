# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Launches of programs, some ahead of the reading of what they compute."""

import collections
from collections.abc import Callable, Iterable, Iterator
import concurrent.futures
import contextlib
from typing import Any, TypeVar

import jax

from selfexplain_jax.distributed import hosts

T = TypeVar('T')

# Programs that are under way beside the one that is read.
_AHEAD = 1

# Programs that share the cores of a CPU. Much of each is work of one core: by
# `experiments.benchmarks.run` on two cores answers come 1.25 times as fast as
# one by one, and patched cells 1.12 to 1.2 times.
_SIDE_BY_SIDE = 3

# Bytes of arrays from which on they do not: products of large models keep all
# cores busy, and what each program needs besides has to fit beside them.
_LARGE = 1 << 30


def launched(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
  """Yields what programs give, in order, while those that follow are under way.

  An accelerator is given the next program while one runs. Programs on a CPU run
  side by side in threads if nothing ties them together, as their place among
  several devices or processes would. There the mesh is the caller's, and what
  else of JAX has been set for a thread alone is not.

  Args:
    calls: each launches a program and returns its arrays. They are taken, and
      if there are several devices also called, in this thread and in order.
  """
  if _apart():
    yield from _side_by_side(calls)
    return
  under_way = collections.deque[T]()
  for call in calls:
    under_way.append(call())
    if len(under_way) > _AHEAD:
      yield under_way.popleft()
  yield from under_way


def fetched(calls: Iterable[Callable[[], Any]]) -> Iterator[Any]:
  """As `launched`, of arrays on the host, as `hosts.fetch` returns them."""
  return map(hosts.fetch, launched(calls))


def _apart() -> bool:
  """Whether programs can run side by side, and gain by it."""
  if jax.default_backend() != 'cpu' or jax.device_count() > 1:
    return False
  return sum(array.nbytes for array in jax.live_arrays()) < _LARGE


def _side_by_side(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
  # On a CPU, programs that one thread launches run one after the other.
  mesh = jax.sharding.get_mesh()
  under_way = collections.deque[concurrent.futures.Future[T]]()
  threads = concurrent.futures.ThreadPoolExecutor(_SIDE_BY_SIDE)
  wait = True  # Nothing is left running.
  try:
    for call in calls:
      under_way.append(threads.submit(_run, call, mesh))
      if len(under_way) > _SIDE_BY_SIDE:
        yield under_way.popleft().result()
    while under_way:
      yield under_way.popleft().result()
  except GeneratorExit:
    # It may be one of these threads that finds out that nobody wants the rest,
    # collecting what is no longer referred to, and another may wait for it.
    wait = False
    raise
  finally:
    threads.shutdown(wait)


def _run(call: Callable[[], T], mesh: Any) -> T:
  with contextlib.nullcontext() if mesh.empty else jax.set_mesh(mesh):
    return jax.block_until_ready(call())
