# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Where the time of a run goes, kernel by kernel."""

import collections
from collections.abc import Callable
import pathlib
import tempfile
from typing import Any

import jax


def table(run: Callable[[], Any], most: int = 20) -> str:
  """Runs something under JAX's profiler, and tells what took longest.

  Args:
    run: that has been run before, so that nothing is compiled.
    most: kernels that are told of.

  Returns:
    A line for each name of a kernel on the first device: milliseconds, how
    often it ran, and the name; before them the milliseconds of all.
  """
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      jax.block_until_ready(run())
    (file,) = pathlib.Path(folder).rglob('*.xplane.pb')
    planes = list(jax.profiler.ProfileData.from_file(str(file)).planes)
  cpu = jax.default_backend() == 'cpu'
  # On a GPU the other lines tell of the same kernels by other names; on CPU
  # threads' names begin so.
  first, line_of = ('/host:CPU', 'tf_') if cpu else (':0', 'Stream')
  taken = collections.Counter[str]()
  times = collections.Counter[str]()
  for plane in planes:
    if not plane.name.endswith(first):
      continue
    for line in plane.lines:
      if line.name.startswith(line_of):
        for event in line.events:
          taken[event.name] += event.duration_ns
          times[event.name] += 1
  lines = [f'{sum(taken.values()) / 1e6:10.2f} ms of kernels']
  lines += [
    f'{one / 1e6:10.2f} ms {times[name]:7} x {name[:100]}'
    for name, one in taken.most_common(most)
  ]
  return '\n'.join(lines)
