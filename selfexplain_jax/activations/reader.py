# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads an activation store, and refuses one that is not whole."""

import numpy as np
import tensorstore as ts

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import manifest as manifest_lib


class Store:
  """A complete store; made by `open_store`.

  Attributes:
    manifest: what the store says about itself.
  """

  def __init__(
    self, directory: files.PathLike, manifest: manifest_lib.Manifest
  ):
    self.manifest = manifest
    self._directory = files.path(directory)
    self._arrays = layout.open_arrays(
      directory, manifest.spec, manifest.rows, create=False
    )

  @property
  def rows(self) -> int:
    """R, the rows of every array."""
    return self.manifest.rows

  def read(self, site: str, start: int, stop: int) -> np.ndarray:
    """Returns rows `start` to `stop`, exclusive, of one array.

    Args:
      site: a site, or `token_id`, `document` or `position`.
      start: first row, at least 0.
      stop: end, at most R.

    Returns:
      `[stop - start, L, D]`, `[stop - start, D]` or `[stop - start]`, in the
      store's type.

    Raises:
      errors.InputError: if there is no such array or row, or if a shard of it
        is missing or damaged; the message names it.
    """
    array = self._array(site)
    if not 0 <= start <= stop <= self.rows:
      raise errors.InputError(
        f'activation store {self._directory}: rows {start} to {stop}, '
        f'expected within 0 to {self.rows}'
      )
    size = self.manifest.spec.rows_per_shard
    bounds = [start, *range((start // size + 1) * size, stop, size), stop]
    reads = [(a, array[a:b].read()) for a, b in zip(bounds, bounds[1:])]
    return np.concatenate([self._result(site, a, read) for a, read in reads])

  def _array(self, site: str) -> ts.TensorStore:
    if site not in self._arrays:
      raise errors.InputError(
        f'activation store {self._directory}: no array {site}, expected one '
        f'of {", ".join(self._arrays)}'
      )
    return self._arrays[site]

  def _result(self, site: str, start: int, read: ts.Future) -> np.ndarray:
    try:
      return read.result()
    except ValueError as e:
      shard = start // self.manifest.spec.rows_per_shard
      raise errors.InputError(
        f'activation store {self._directory}: shard {shard} of {site} cannot '
        f'be read: {layout.reason(e)}'
      ) from e


def open_store(directory: files.PathLike, verify: bool = True) -> Store:
  """Opens the store in `directory`.

  Args:
    directory: the store.
    verify: whether to read all of it first and compare the checksums. Without,
      a damaged shard is refused only when it is read.

  Raises:
    errors.InputError: if there is no manifest, or if a shard is missing or
      fails its checksum; the message names it.
  """
  manifest = manifest_lib.read(directory)
  if verify:
    _verify(directory, manifest)
  return Store(directory, manifest)


def _verify(directory: files.PathLike, manifest: manifest_lib.Manifest) -> None:
  folder = files.path(directory)
  for shard in manifest.shards:
    where = f'activation store {folder}: shard {shard.index}'
    for name, expected in shard.crc32c.items():
      crc = files.crc32c(folder / name)
      if crc is None:
        raise errors.InputError(f'{where} is missing: expected a file {name}')
      if crc != expected:
        raise errors.InputError(
          f'{where} fails its checksum: {name} has crc32c {crc}, expected '
          f'{expected}'
        )
