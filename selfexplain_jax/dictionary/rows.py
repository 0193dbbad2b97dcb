# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Rows of an activation store in random order, without holding all of it.

The store is cut into aligned chunks of rows. An epoch goes through all chunks
in an order of its own, some at a time: a window. The rows of a window are mixed
in memory. Row c of a job is a function of (seed, epoch, counter) alone, so it
is the same after a restart and whatever the batch.
"""

from collections.abc import Iterator
from typing import Any
import zlib

import numpy as np

from selfexplain_jax.activations import reader
from selfexplain_jax.data import feeding


class ShuffledRows:
  """Chosen rows of one site, epoch after epoch."""

  def __init__(
    self,
    store: reader.Store,
    site: str,
    layers: tuple[int, ...],
    chosen_R: np.ndarray,
    *,
    seed: int,
    window_rows: int,
  ):
    """Plans the chunks.

    Args:
      store: a complete store that has the site.
      site: a site with a layer axis.
      layers: layers of the store, in the order in which they are returned.
      chosen_R: bool[R], which rows are read; at least one.
      seed: of the order.
      window_rows: rows that are mixed at a time, before those that are not
        chosen are dropped; rounded down to whole chunks, at least one.
    """
    spec = store.manifest.spec
    self._store, self._site = store, site
    self._slots = [spec.layers.index(layer) for layer in layers]
    self._chosen, self._seed = chosen_R, seed
    # Aligned to the shards, whose chunks are the least that can be read.
    size = spec.chunk_rows
    starts = np.arange(0, store.rows, size)
    count = np.add.reduceat(chosen_R.astype(np.int64), starts)
    self._starts, self._counts = starts[count > 0], count[count > 0]
    self._size = size
    self._chunks = max(1, window_rows // size)

  @property
  def rows(self) -> int:
    """Rows of an epoch."""
    return int(self._counts.sum())

  def _order(self, epoch: int, what: bytes, *more: int, of: int) -> np.ndarray:
    key = [self._seed, zlib.crc32(what), epoch, *more]
    return np.random.default_rng(key).permutation(of)

  def _window(self, epoch: int, number: int, chunks: np.ndarray) -> np.ndarray:
    """Reads and mixes the rows of a window, [rows, L, D]."""
    parts = []
    for start in self._starts[chunks]:
      stop = min(start + self._size, self._store.rows)
      values = self._store.read(self._site, int(start), int(stop))
      parts.append(values[self._chosen[start:stop]][:, self._slots])
    read = np.concatenate(parts).astype(np.float32)
    return read[self._order(epoch, b'rows', number, of=len(read))]

  def windows(self, counter: int) -> Iterator[np.ndarray]:
    """Yields rows f32[..., L, D], without end, from row `counter` of the job.

    Windows that lie before it are not read.
    """
    epoch, skip = divmod(counter, self.rows)
    while True:
      order = self._order(epoch, b'chunks', of=len(self._starts))
      for number, at in enumerate(range(0, len(order), self._chunks)):
        chunks = order[at : at + self._chunks]
        count = int(self._counts[chunks].sum())
        if skip < count:
          yield self._window(epoch, number, chunks)[skip:]
        skip = max(0, skip - count)
      epoch += 1


def batches(
  source: ShuffledRows, batch: int, steps: int, done: int
) -> Iterator[Any]:
  """Yields batches f32[batch, L, D] of the steps that are left, on the devices.

  Every process reads all rows of a window, which are mixed in memory.

  Args:
    source: the rows.
    batch: rows a step.
    steps: steps in all.
    done: steps done already.
  """
  if done == steps:
    return  # Nothing is read in vain.
  windows = source.windows(done * batch)
  rest = next(windows)
  for _ in range(done, steps):
    while len(rest) < batch:
      rest = np.concatenate([rest, next(windows)])
    yield feeding.place(rest[:batch][feeding.own_rows(batch)], batch)
    rest = rest[batch:]
