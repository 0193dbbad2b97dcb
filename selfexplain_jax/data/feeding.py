# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Feeds batches to the devices: each process reads the rows of its own alone.

Row i of a job is a function of i, the global counter; so what a batch holds
depends neither on how many processes there are nor on where a run began.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import grain
import jax
import numpy as np

from selfexplain_jax.distributed import axis_rules

Row = dict[str, np.ndarray]
Batch = dict[str, Any]


class Source(Protocol):
  """The rows of a job."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> Row: ...


class _Own(grain.sources.RandomAccessDataSource):
  """Of each batch of a source the rows of this process, one after the other."""

  def __init__(self, source: Source, batch: int, own: np.ndarray):
    self._source, self._batch, self._own = source, batch, own

  def __len__(self) -> int:
    return len(self._source) // self._batch * len(self._own)

  def __getitem__(self, index: int) -> Row:
    step, place = divmod(index, len(self._own))
    return self._source[step * self._batch + int(self._own[place])]


def batches(source: Source, batch: int, done: int) -> Iterator[Batch]:
  """Yields the batches of the steps that are left, on the devices.

  Args:
    source: the rows of the job: `batch` of them for each step.
    batch: rows of a step, of all processes.
    done: steps done already.

  Yields:
    Fields [batch, ...], split over the devices of the mesh that is set.
  """
  own = own_rows(batch)
  dataset = grain.MapDataset.source(_Own(source, batch, own))
  dataset = dataset[done * len(own) :].batch(len(own))
  for rows in dataset.to_iter_dataset(grain.ReadOptions(num_threads=0)):
    yield {name: place(value, batch) for name, value in rows.items()}


def own_rows(batch: int) -> np.ndarray:
  """Returns which rows of a batch the devices of this process hold, sorted."""
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return np.arange(batch)
  split = axis_rules.sharding(('batch',), (batch,), mesh)
  held = split.addressable_devices_indices_map((batch,)).values()
  return np.unique(np.concatenate([np.arange(batch)[index] for index in held]))


def place(own: np.ndarray, batch: int) -> Any:
  """Puts the rows of this process on its devices, as a part of a batch.

  Args:
    own: [rows, ...], those of `own_rows`.
    batch: rows of the batch, of all processes.

  Returns:
    [batch, ...], split over the devices of the mesh; without one, as it is.
  """
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return own
  numbers = own_rows(batch)
  shape = (batch, *own.shape[1:])
  axes = ('batch', *(None,) * (own.ndim - 1))

  def part(index: tuple[slice, ...] | None) -> np.ndarray:
    assert index is not None  # It is of an array.
    start, stop, _ = index[0].indices(batch)
    first = int(np.searchsorted(numbers, start))
    return own[first : first + stop - start]

  return jax.make_array_from_callback(
    shape, axis_rules.sharding(axes, shape, mesh), part
  )
