# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Explanation sets: questions, what really happens, answers and vectors.

A set is written once and never changed. Records are addressed by index, so the
order in which they are used is a function of (seed, epoch, counter) alone.
"""

import dataclasses
import functools
import io
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import vectors as vectors_lib

FORMAT_VERSION = 1

_TEXT = pa.string()
_INTEGER = pa.int32()
_IDS = pa.list_(pa.int32())

# The columns of records.parquet; docs/data_formats.md says what each means.
SCHEMA = pa.schema(
  [
    ('task', _TEXT),
    ('split', _TEXT),
    ('group', _TEXT),
    ('counterfactual_group', _TEXT),
    ('prompt_kind', _TEXT),
    ('position_kind', _TEXT),
    ('site', _TEXT),
    ('first_layer', _INTEGER),
    ('last_layer', _INTEGER),
    ('position', _INTEGER),
    ('prompt_ids', _IDS),
    ('text', _TEXT),
    ('before', _TEXT),
    ('token_text', _TEXT),
    ('after', _TEXT),
    ('counterfactual_text', _TEXT),
    ('clean_id', _INTEGER),
    ('patched_id', _INTEGER),
    ('clean_token', _TEXT),
    ('patched_token', _TEXT),
    ('clean_margin', pa.float32()),
    ('patched_margin', pa.float32()),
    ('changed', pa.bool_()),
    ('balanced', pa.bool_()),
    ('answer', _TEXT),
  ]
)


@dataclasses.dataclass(frozen=True)
class ExplanationSet:
  """Records and their vectors.

  Attributes:
    manifest: what the set was made from and how.
    records: a table with the columns of `SCHEMA`; row i is record i.
    vectors: f32[N, D], raw; row i belongs to record i.
  """

  manifest: dict[str, Any]
  records: pa.Table
  vectors: np.ndarray

  def split(self, name: str) -> np.ndarray:
    """Indices of the records of a split, ascending."""
    return np.flatnonzero(np.asarray(self.records['split']) == name)

  @functools.cached_property
  def rows(self) -> list[dict[str, Any]]:
    """The records as dictionaries."""
    return self.records.to_pylist()


def write(
  directory: files.PathLike,
  records: list[dict[str, Any]],
  vectors_NxD: np.ndarray,
  manifest: dict[str, Any],
) -> None:
  """Writes a set; its manifest comes last, and without it there is no set."""
  folder = files.path(directory)
  table = pa.Table.from_pylist(records, SCHEMA)
  content = io.BytesIO()
  parquet.write_table(table, content)
  files.write_bytes(folder / 'records.parquet', content.getvalue())
  vectors_lib.write_vectors(folder / 'vectors', vectors_NxD)
  note = {
    'format_version': FORMAT_VERSION,
    'records': len(records),
    'width': int(vectors_NxD.shape[1]),
    'records_digest': files.digest(content.getvalue()),
  }
  files.write_json(folder / 'manifest.json', {**manifest, **note})


def read(directory: files.PathLike) -> ExplanationSet:
  """Reads a set.

  Raises:
    errors.InputError: if it is unfinished, damaged, or of another version.
  """
  folder = files.path(directory)
  manifest = files.read_json(
    folder / 'manifest.json', 'explanation set manifest'
  )
  if manifest.get('format_version') != FORMAT_VERSION:
    raise errors.InputError(
      f'{folder}: format_version is {manifest.get("format_version")}: expected '
      f'{FORMAT_VERSION}'
    )
  name = folder / 'records.parquet'
  content = name.read_bytes() if name.exists() else b''
  if files.digest(content) != manifest['records_digest']:
    raise errors.InputError(
      f'{name} is missing or damaged: expected the file whose digest is in '
      'manifest.json'
    )
  vectors = vectors_lib.read_vectors(folder / 'vectors')
  expected = (manifest['records'], manifest['width'])
  if vectors.shape != expected:
    raise errors.InputError(
      f'{folder}/vectors has shape {vectors.shape}: expected {expected}'
    )
  return ExplanationSet(
    manifest, parquet.read_table(io.BytesIO(content)), vectors
  )
