# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The manifest of an activation store: what it holds, and its checksums.

`manifest.json` is written last, so a store that has one is complete. Its JSON
Schema is docs/activation_store.schema.json.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import layout

FORMAT_VERSION = 1
MANIFEST_FILE = 'manifest.json'
SPEC_FILE = 'spec.json'


@dataclasses.dataclass(frozen=True)
class Shard:
  """One shard: `rows` rows, and the CRC-32C of each object that holds them.

  Attributes:
    index: its place, from 0.
    rows: rows per shard, or fewer in the last shard.
    crc32c: object name, relative to the store, to the CRC-32C of its bytes.
  """

  index: int
  rows: int
  crc32c: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Statistics:
  """Of one site over all rows and the D axis, one value a layer.

  Attributes:
    mean: mean, one for each of the store's layers; one if not layered.
    rms: root of the mean square, likewise.
  """

  mean: tuple[float, ...]
  rms: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
  """All of `manifest.json`; `rows` is R and `statistics` is by site."""

  spec: layout.StoreSpec
  rows: int
  statistics: Mapping[str, Statistics]
  shards: tuple[Shard, ...]


def spec_to_json(spec: layout.StoreSpec, rows: int) -> dict[str, Any]:
  """Returns `spec.json`: the part of the manifest known from the start."""
  return {
    'format_version': FORMAT_VERSION,
    'rows': rows,
    **dataclasses.asdict(spec),
  }


def to_json(manifest: Manifest) -> dict[str, Any]:
  """Returns the content of `manifest.json`."""
  return {
    **spec_to_json(manifest.spec, manifest.rows),
    'statistics': {
      site: dataclasses.asdict(values)
      for site, values in manifest.statistics.items()
    },
    'shards': [dataclasses.asdict(shard) for shard in manifest.shards],
  }


def read_spec(name: files.PathLike) -> tuple[layout.StoreSpec, int]:
  """Reads `spec.json`; see `read` for what it raises."""
  content = files.read_json(name, 'activation store spec')
  return _parse_spec(content, str(name))


def read(directory: files.PathLike) -> Manifest:
  """Reads the manifest of the store in `directory`.

  Raises:
    errors.InputError: if there is none, so that the store is not complete, or
      if it is not of this format; the message names the field.
  """
  name = files.path(directory) / MANIFEST_FILE
  content = files.read_json(name, 'manifest of a complete activation store')
  where = str(name)
  spec, rows = _parse_spec(content, where)
  shards = _field(content, 'shards', list, where)
  if len(shards) != spec.shards(rows):
    raise errors.InputError(
      f'{where}: {len(shards)} shards, expected {spec.shards(rows)} for '
      f'{rows} rows'
    )
  statistics = _field(content, 'statistics', dict, where)
  return Manifest(
    spec,
    rows,
    {
      site: _parse_statistics(statistics, spec, site, where)
      for site in spec.sites
    },
    tuple(
      parse_shard(shard, spec, rows, i, where) for i, shard in enumerate(shards)
    ),
  )


def parse_shard(
  content: Any, spec: layout.StoreSpec, rows: int, index: int, where: str
) -> Shard:
  """Returns the record of shard `index` of a store of `rows` rows.

  Raises:
    errors.InputError: if `content` is no record of that shard.
  """
  where = f'{where}: shard {index}'
  start, stop = spec.shard_range(index, rows)
  for name, expected in (('index', index), ('rows', stop - start)):
    value = _field(content, name, int, where)
    if value != expected:
      raise errors.InputError(
        f'{where}: {name} is {value}, expected {expected}'
      )
  crcs = _field(content, 'crc32c', dict, where)
  return Shard(
    index,
    stop - start,
    {name: _field(crcs, name, int, where) for name in spec.shard_files(index)},
  )


def _parse_spec(content: Any, where: str) -> tuple[layout.StoreSpec, int]:
  version = _field(content, 'format_version', int, where)
  if version != FORMAT_VERSION:
    raise errors.InputError(
      f'{where}: format_version is {version}, expected {FORMAT_VERSION}'
    )
  rows = _field(content, 'rows', int, where)
  if rows < 1:
    raise errors.InputError(f'{where}: rows is {rows}, expected at least 1')
  values: dict[str, Any] = {}
  for field in dataclasses.fields(layout.StoreSpec):
    value = _field(content, field.name, object, where)
    values[field.name] = tuple(value) if isinstance(value, list) else value
  try:
    return layout.StoreSpec(**values), rows
  except errors.InputError as e:
    raise errors.InputError(f'{where}: {e}') from e


def _parse_statistics(
  content: Any, spec: layout.StoreSpec, site: str, where: str
) -> Statistics:
  where = f'{where}: statistics of {site}'
  values = _field(content, site, dict, where)
  count = len(spec.layers) if site in spec.layered else 1
  parsed = {}
  for name in ('mean', 'rms'):
    numbers = _field(values, name, list, where)
    if len(numbers) != count or not all(
      isinstance(v, (int, float)) for v in numbers
    ):
      raise errors.InputError(
        f'{where}: {name} is {numbers!r}, expected {count} numbers'
      )
    parsed[name] = tuple(numbers)
  return Statistics(**parsed)


def _field(content: Any, name: str, kind: type, where: str) -> Any:
  if not isinstance(content, dict) or name not in content:
    raise errors.InputError(f'{where}: field {name} is missing')
  value = content[name]
  if not isinstance(value, kind):
    raise errors.InputError(
      f'{where}: {name} is {value!r}, expected {kind.__name__}'
    )
  return value
