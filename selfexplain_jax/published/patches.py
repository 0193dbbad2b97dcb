# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads published activation patching data: parquet files (method E.1)."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from etils import epath
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax.published import sources

WHAT = 'a parquet file of activation patching, as published'

_POSITION = pa.struct(
  [
    ('orig_pos', pa.int64()),
    ('orig_text_token', pa.string()),
    ('intervention_vector', pa.list_(pa.float32())),
  ]
)
_SCHEMA = pa.schema(
  [
    ('layer', pa.list_(pa.int64())),
    ('input_tokens', pa.list_(pa.string())),
    ('original_continuation', pa.list_(pa.string())),
    ('ablated_continuation', pa.list_(pa.string())),
    ('is_different', pa.bool_()),
    ('patch_position', _POSITION),
    ('counterfactual_text', pa.string()),
    ('token_type', pa.string()),
  ]
)


@dataclasses.dataclass(frozen=True)
class Patch:
  """A row: what was patched where, and what the target then said.

  Attributes:
    where: file and row, for errors.
    first_layer: of the block that was patched.
    last_layer: of it, included.
    tokens: the prompt, as the vocabulary writes its tokens; no BOS.
    position: that was patched, BOS counted.
    token: what stands there.
    clean: what the target says next, a token.
    treated: what it says with the patch.
    changed: whether the two differ.
    counterfactual: the text that the vector is from.
    kind: of token that was patched.
    vector: f32[D], what was put there.
  """

  where: str
  first_layer: int
  last_layer: int
  tokens: tuple[str, ...]
  position: int
  token: str
  clean: str
  treated: str
  changed: bool
  counterfactual: str
  kind: str
  vector: np.ndarray


def read(name: epath.Path, layers: int, width: int) -> Iterator[Patch]:
  """Yields the rows of a file.

  Args:
    name: the file.
    layers: of the target.
    width: of the target, D.

  Raises:
    errors.InputError: if the file is damaged, or a row is of another model or
      makes no sense, naming the row and the column.
  """
  for start, batch in sources.batches(name, _SCHEMA, WHAT):
    position = batch.column('patch_position')
    vectors = position.field('intervention_vector')
    columns = {
      column: batch.column(column).to_pylist()
      for column in _SCHEMA.names
      if column != 'patch_position'
    } | {
      inner: position.field(inner).to_pylist()
      for inner in ('orig_pos', 'orig_text_token')
    }
    for n in range(batch.num_rows):
      row = {column: values[n] for column, values in columns.items()}
      where = sources.place(name, start + n)
      yield _patch(where, row, _vector(where, vectors, n, width), layers)


def _vector(
  where: str, vectors: pa.ListArray, row: int, width: int
) -> np.ndarray:
  """The vector of a row, without making a list of its numbers."""
  values = vectors[row].values
  count = 0 if values is None else len(values)
  if count != width or values.null_count:
    raise errors.InputError(
      f'{where}: intervention_vector has {count} numbers: expected {width}, '
      'the width of the target'
    )
  vector = values.to_numpy(zero_copy_only=False).astype(np.float32)
  if not np.all(np.isfinite(vector)):
    raise errors.InputError(
      f'{where}: intervention_vector is not finite: expected numbers'
    )
  return vector


def _patch(
  where: str, row: dict[str, Any], vector: np.ndarray, layers: int
) -> Patch:
  """Checks a row."""

  def refuse(column: str, expected: str) -> errors.InputError:
    return errors.InputError(
      f'{where}: {column} is {row[column]!r}: expected {expected}'
    )

  block = row['layer']
  if (
    not block
    or None in block
    or block != list(range(block[0], block[0] + len(block)))
    or not 0 <= block[0] <= block[-1] < layers
  ):
    raise refuse(
      'layer', f'consecutive ones of the {layers} layers of the target'
    )
  for column in ('original_continuation', 'ablated_continuation'):
    if len(row[column]) != 1 or not row[column][0]:
      raise refuse(column, 'one token')
  if not row['input_tokens'] or None in row['input_tokens']:
    raise refuse('input_tokens', 'the tokens of a prompt')
  if row['orig_pos'] is None or row['orig_pos'] < 0:
    raise refuse('orig_pos', 'a position of the prompt')
  if not row['orig_text_token']:
    raise refuse('orig_text_token', 'a token')
  return Patch(
    where=where,
    first_layer=block[0],
    last_layer=block[-1],
    tokens=tuple(row['input_tokens']),
    position=row['orig_pos'],
    token=row['orig_text_token'],
    clean=row['original_continuation'][0],
    treated=row['ablated_continuation'][0],
    changed=row['is_different'],
    counterfactual=row['counterfactual_text'],
    kind=row['token_type'],
    vector=vector,
  )
