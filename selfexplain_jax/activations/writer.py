# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Writes an activation store, shard by shard, and goes on where it stopped.

A shard counts as written once its record `shards/00003.json` exists and the
objects have the checksums that it says. The record is written after the
objects, so a writer killed at any moment leaves shards that are complete and
shards that will be written again. Several processes write one store at once,
each its own shards.
"""

from collections.abc import Mapping
import concurrent.futures
import itertools
import math
from typing import Any

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import manifest as manifest_lib
from selfexplain_jax.distributed import hosts

_READERS = 4  # Shards that a process checks at once.


class StoreWriter:
  """One process's hand on the store in a directory; all of a job have one.

  Args:
    directory: the store; made if it does not exist.
    spec: what it holds.
    rows: R, known in advance, so that every shard has its place.

  Raises:
    errors.InputError: if the directory holds a store of another spec or
      number of rows; the message names the first field that differs.
  """

  def __init__(
    self, directory: files.PathLike, spec: layout.StoreSpec, rows: int
  ):
    if rows < 1:
      raise errors.InputError(
        f'activation store {directory}: {rows} rows, expected at least 1'
      )
    self._directory = files.path(directory)
    self._spec = spec
    self._rows = rows
    self._claim()
    self._arrays = layout.open_arrays(directory, spec, rows, create=True)

  def completed_shards(self) -> set[int]:
    """Returns the shards that need no writing; reads all that is stored.

    Of several processes each reads its share, all of them about as much.
    """
    shards = range(self._spec.shards(self._rows))
    own = shards[hosts.index() :: hosts.count()]
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
      complete = list(readers.map(self._is_complete, own))
    found = [index for index, whole in zip(own, complete, strict=True) if whole]
    return set(itertools.chain.from_iterable(hosts.gather(found, patient=True)))

  def write_shard(self, index: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes shard `index`, new or again.

    Args:
      index: in `[0, ceil(R / rows_per_shard))`.
      arrays: for each name in `spec.arrays` the shard's rows, of exactly the
        type and shape that the spec gives it: `[rows]` for the index arrays,
        `[rows, L, D]` or `[rows, D]` for the sites. Those of one layer are best
        contiguous: so they are stored.

    Raises:
      errors.InputError: if an array is missing, unknown, of another type or
        shape, or has a value that is not finite.
    """
    shards = self._spec.shards(self._rows)
    if not 0 <= index < shards:
      raise errors.InputError(
        f'activation store {self._directory}: no shard {index}, expected '
        f'0 to {shards - 1}'
      )
    start, stop = self._spec.shard_range(index, self._rows)
    self._check(index, stop - start, arrays)
    moments = {
      site: self._moments(index, site, arrays[site])
      for site in self._spec.sites
    }
    writes = [
      self._arrays[name][start:stop].write(arrays[name])
      for name in self._spec.arrays
    ]
    for write in writes:
      write.result()
    files.write_json(
      self._record_file(index),
      {
        'index': index,
        'rows': stop - start,
        'crc32c': {
          name: files.crc32c(self._directory / name)
          for name in self._spec.shard_files(index)
        },
        'moments': moments,
      },
      every_process=True,
    )

  def finish(self) -> manifest_lib.Manifest:
    """Writes `manifest.json` from the records of all shards.

    Of several processes all have to call it, when their shards are written.

    Raises:
      errors.InputError: if shards are missing; the message names them.
    """
    hosts.barrier('the manifest')
    records = [
      self._record(index) for index in range(self._spec.shards(self._rows))
    ]
    missing = [str(i) for i, record in enumerate(records) if record is None]
    if missing:
      raise errors.InputError(
        f'activation store {self._directory} is not complete: missing shards '
        f'{", ".join(missing)} of {len(records)}'
      )
    shards, moments = zip(*(record for record in records if record))
    result = manifest_lib.Manifest(
      self._spec,
      self._rows,
      {
        site: self._statistics([m[site] for m in moments])
        for site in self._spec.sites
      },
      shards,
    )
    files.write_json(
      self._directory / manifest_lib.MANIFEST_FILE, manifest_lib.to_json(result)
    )
    return result

  def _claim(self) -> None:
    """Writes `spec.json`, or checks that the one there says the same."""
    name = self._directory / manifest_lib.SPEC_FILE
    mine = manifest_lib.spec_to_json(self._spec, self._rows)
    if not hosts.agree(name.exists()):
      files.write_json(name, mine)
      hosts.barrier('the store')
      return
    theirs = manifest_lib.spec_to_json(*manifest_lib.read_spec(name))
    for field, value in mine.items():
      if theirs[field] != value:
        raise errors.InputError(
          f'activation store {self._directory} is another: its {field} is '
          f'{theirs[field]!r}, expected {value!r}'
        )

  def _record_file(self, index: int):
    return self._directory / 'shards' / f'{index:05d}.json'

  def _record(
    self, index: int
  ) -> tuple[manifest_lib.Shard, dict[str, Any]] | None:
    """Reads the record of a shard and its moments by site, if it is good."""
    name = self._record_file(index)
    if not name.exists():
      return None
    try:
      content = files.read_json(name, 'shard record')
      shard = manifest_lib.parse_shard(
        content, self._spec, self._rows, index, str(name)
      )
      moments = content['moments']
      return shard, {site: moments[site] for site in self._spec.sites}
    except (errors.InputError, KeyError):
      return None

  def _is_complete(self, index: int) -> bool:
    record = self._record(index)
    return record is not None and all(
      files.crc32c(self._directory / name) == crc
      for name, crc in record[0].crc32c.items()
    )

  def _check(
    self, index: int, rows: int, arrays: Mapping[str, np.ndarray]
  ) -> None:
    where = f'activation store {self._directory}: shard {index}'
    if set(arrays) != set(self._spec.arrays):
      raise errors.InputError(
        f'{where} has arrays {", ".join(sorted(arrays))}, expected '
        f'{", ".join(sorted(self._spec.arrays))}'
      )
    for name in self._spec.arrays:
      shape = (rows, *self._spec.item_shape(name))
      dtype = self._spec.item_dtype(name)
      value = arrays[name]
      if value.shape != shape or value.dtype != dtype:
        raise errors.InputError(
          f'{where}: {name} is {value.dtype.name}{list(value.shape)}, '
          f'expected {dtype.name}{list(shape)}'
        )

  def _moments(
    self, index: int, site: str, values: np.ndarray
  ) -> list[dict[str, float]]:
    """Returns, for each layer, what the site's mean and rms are made from."""
    if site not in self._spec.layered:
      values = values[:, None]
    moments = []
    for layer in range(values.shape[1]):
      values_RxD = values[:, layer]
      # In float64 without a copy in it: both go through a small buffer.
      square_sum = float(
        np.einsum('rd,rd->', values_RxD, values_RxD, dtype=np.float64)
      )
      if not math.isfinite(square_sum):
        raise errors.InputError(
          f'activation store {self._directory}: shard {index}: {site} has '
          f'values that are not finite, expected none (layer axis {layer})'
        )
      moments.append(
        {
          'count': values_RxD.size,
          'sum': float(values_RxD.sum(dtype=np.float64)),
          'square_sum': square_sum,
        }
      )
    return moments

  @staticmethod
  def _statistics(
    moments_by_shard: list[list[dict[str, float]]],
  ) -> manifest_lib.Statistics:
    """Merges the moments of one site; exact sums, so in any order the same."""
    mean, rms = [], []
    for layer in zip(*moments_by_shard):
      count = sum(m['count'] for m in layer)
      mean.append(math.fsum(m['sum'] for m in layer) / count)
      rms.append(math.sqrt(math.fsum(m['square_sum'] for m in layer) / count))
    return manifest_lib.Statistics(tuple(mean), tuple(rms))
