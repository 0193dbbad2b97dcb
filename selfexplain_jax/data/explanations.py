# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Explanation sets: questions, what really happens, answers and vectors.

A set is written once and never changed. Records are addressed by index, so the
order in which they are used is a function of (seed, epoch, counter) alone.
"""

from collections.abc import Sequence
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

FORMAT_VERSION = 2

# The columns that the records of every task have; docs/data_formats.md says
# what each means, and what each task adds.
COMMON = pa.schema(
  [
    ('task', pa.string()),
    ('split', pa.string()),
    ('group', pa.string()),
    ('place', pa.string()),
    ('treatment', pa.string()),
    ('vectors', pa.list_(pa.int32())),
    ('answer', pa.string()),
  ]
)


@dataclasses.dataclass(frozen=True)
class ExplanationSet:
  """Records and their vectors.

  Attributes:
    manifest: what the set was made from and how.
    records: a table whose row i is record i.
    vectors: f32[V, D], raw; a record's `vectors` are rows of it. They may be
      more than memory holds: take rows of it, never all.
    documents: i32[N, T], token rows that descriptions are checked on; None
      without descriptions.
  """

  manifest: dict[str, Any]
  records: pa.Table
  vectors: np.ndarray
  documents: np.ndarray | None = None

  def split(self, name: str) -> np.ndarray:
    """Indices of the records of a split, ascending."""
    return np.flatnonzero(np.asarray(self.records['split']) == name)

  @functools.cached_property
  def rows(self) -> list[dict[str, Any]]:
    """The records as dictionaries."""
    return self.records.to_pylist()

  @functools.cached_property
  def most(self) -> int:
    """K, the most vectors that a record has, and at least 1."""
    return max(1, max((len(row['vectors']) for row in self.rows), default=1))

  def shown(self, chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns the vectors of some records, f32[N, K, D].

    What a record has less than K is 0.
    """
    refs = [self.rows[i]['vectors'] for i in chosen]
    found = np.zeros((len(refs), self.most, self.vectors.shape[1]), np.float32)
    for n, own in enumerate(refs):
      found[n, : len(own)] = self.vectors[own]
    return found


def write(
  directory: files.PathLike,
  records: list[dict[str, Any]],
  schema: pa.Schema,
  vectors_VxD: np.ndarray,
  manifest: dict[str, Any],
  documents_NxT: np.ndarray | None = None,
) -> None:
  """Writes a set; its manifest comes last, and without it there is no set."""
  folder = files.path(directory)
  content = _parquet(pa.Table.from_pylist(records, schema))
  files.write_bytes(folder / 'records.parquet', content)
  vectors_lib.write_vectors(folder / 'vectors', vectors_VxD)
  note = {
    'format_version': FORMAT_VERSION,
    'records': len(records),
    'vectors': len(vectors_VxD),
    'width': int(vectors_VxD.shape[1]),
    'records_digest': files.digest(content),
  }
  if documents_NxT is not None:
    table = pa.table({'ids': pa.array(list(documents_NxT.astype(np.int32)))})
    documents = _parquet(table)
    files.write_bytes(folder / 'documents.parquet', documents)
    note['documents_digest'] = files.digest(documents)
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
  records = _read(folder / 'records.parquet', manifest['records_digest'])
  documents = None
  if 'documents_digest' in manifest:
    table = _read(folder / 'documents.parquet', manifest['documents_digest'])
    documents = np.array(table['ids'].to_pylist(), np.int32)
  vectors = vectors_lib.read_vectors(folder / 'vectors')
  expected = (manifest['vectors'], manifest['width'])
  if vectors.shape != expected:
    raise errors.InputError(
      f'{folder}/vectors has shape {vectors.shape}: expected {expected}'
    )
  return ExplanationSet(manifest, records, vectors, documents)


def _parquet(table: pa.Table) -> bytes:
  content = io.BytesIO()
  parquet.write_table(table, content)
  return content.getvalue()


def _read(name: Any, digest: str) -> pa.Table:
  """Reads a table whose digest is in the manifest."""
  content = name.read_bytes() if name.exists() else b''
  if files.digest(content) != digest:
    raise errors.InputError(
      f'{name} is missing or damaged: expected the file whose digest is in '
      'manifest.json'
    )
  return parquet.read_table(io.BytesIO(content))
