# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads Neuronpedia's exports: feature descriptions as lines of JSON.

A line is an explanation, with `modelId`, `layer` (such as `12-res-jb`), `index`
and `description`; or a feature with a list of `explanations`. Either may have
the feature's `vector`.
"""

from collections.abc import Iterator
import dataclasses
import gzip
import json
import re
from typing import Any
import zlib

from etils import epath
import numpy as np

from selfexplain_jax import errors

WHAT = 'lines of a Neuronpedia export, .jsonl or .jsonl.gz'

_LAYER = re.compile(r'(\d+)-(.+)')


@dataclasses.dataclass(frozen=True)
class Described:
  """A feature with its descriptions.

  Attributes:
    where: file and line, for errors.
    model: its model, as Neuronpedia calls it.
    layer: its layer.
    source: the set of dictionaries, such as `res-jb`.
    index: of the feature.
    descriptions: in the order of the file; none if there is no text.
    vector: f32[D]; None where the line has none.
  """

  where: str
  model: str
  layer: int
  source: str
  index: int
  descriptions: tuple[str, ...]
  vector: np.ndarray | None


def read(name: epath.Path, layers: int, width: int) -> Iterator[Described]:
  """Yields the lines of a file.

  Args:
    name: the file.
    layers: of the target.
    width: of the target, D.

  Raises:
    errors.InputError: if the file is damaged, or a line is not as expected,
      naming the line and the field.
  """
  count = 0
  try:
    with name.open('rb') as raw:
      source = gzip.open(raw) if name.suffix == '.gz' else raw
      for number, line in enumerate(source, 1):
        if line.strip():
          count += 1
          yield _described(f'{name}: line {number}', line, layers, width)
  except (OSError, EOFError, zlib.error) as e:
    raise errors.InputError(
      f'{name} is damaged after {count} lines: {e}: expected {WHAT}'
    ) from e
  if not count:
    raise errors.InputError(f'{name} has no lines: expected {WHAT}')


def _described(where: str, line: bytes, layers: int, width: int) -> Described:
  try:
    row = json.loads(line)
  except (ValueError, RecursionError) as e:
    raise errors.InputError(f'{where} is no JSON: {e}: expected {WHAT}') from e
  if not isinstance(row, dict):
    raise errors.InputError(
      f'{where} is a {type(row).__name__}: expected a JSON object'
    )
  for field in ('modelId', 'layer', 'index'):
    if field not in row:
      raise errors.InputError(f'{where} has no {field}: expected {WHAT}')
  found = _LAYER.fullmatch(str(row['layer']))
  if not found or int(found[1]) >= layers:
    raise errors.InputError(
      f'{where}: layer is {row["layer"]!r}: expected one such as '
      f"'12-res-jb', of the {layers} layers of the target"
    )
  index = str(row['index'])
  if not index.isdecimal() or len(index) > 9:  # As records have room for.
    raise errors.InputError(
      f'{where}: index is {row["index"]!r}: expected that of a feature'
    )
  return Described(
    where=where,
    model=str(row['modelId']),
    layer=int(found[1]),
    source=found[2],
    index=int(index),
    descriptions=_descriptions(where, row),
    vector=_vector(where, row.get('vector'), width),
  )


def _descriptions(where: str, row: dict[str, Any]) -> tuple[str, ...]:
  every = row.get('explanations', [row])
  if not isinstance(every, list) or not every:
    raise errors.InputError(
      f'{where}: explanations is {every!r}: expected a list of them'
    )
  found = []
  for one in every:
    text = one.get('description') if isinstance(one, dict) else None
    if not isinstance(text, str):
      raise errors.InputError(f'{where} has no description: expected {WHAT}')
    if text.strip():
      found.append(' '.join(text.split()))
  return tuple(found)


def _vector(where: str, vector: Any, width: int) -> np.ndarray | None:
  if vector is None or vector == []:
    return None
  try:
    with np.errstate(over='ignore'):
      found = np.array(vector, np.float32)
  except (OverflowError, TypeError, ValueError):
    found = np.empty(0, np.float32)
  if found.shape != (width,) or not np.all(np.isfinite(found)):
    raise errors.InputError(
      f'{where}: vector has shape {found.shape}, or is not finite: expected '
      f'{width} numbers, the width of the target'
    )
  return found
