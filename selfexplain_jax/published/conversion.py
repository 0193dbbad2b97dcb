# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Converts published pickles into safetensors and parquet.

A folder keeps its layout: every `NAME.pkl` or `NAME.pt` becomes
`NAME.safetensors` or `NAME.parquet`, and what needs no conversion is copied. Of
feature descriptions (method E.1), the matrices of decoder directions are turned
from [d, n] to [n, d], so that the directions of some can be gathered.
"""

from collections.abc import Iterator, Mapping, Sequence
import io
import json
import re
import struct
from typing import Any

from etils import epath
import ml_dtypes
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.published import pickles
from selfexplain_jax.published import sources

FORMAT_VERSION = 1
MANIFEST = 'conversion.json'

# The name of a tensor that has none, and of decoder directions.
VALUES, DIRECTIONS = 'values', 'directions'
# What is copied, and how much of a matrix is turned at once.
_COPIED = ('.json', '.npy', '.txt')
_CHUNK_BYTES = 1 << 26
# Labels of a file hold no more text than so many times its bytes: a text that
# occurs twice is written once.
_SHARED = 64

LABELS = pa.schema(
  [
    ('layer', pa.int32()),
    ('feature', pa.int32()),
    ('chosen_label', pa.string()),
    ('all_labels', pa.list_(pa.string())),
    ('scores', pa.list_(pa.float64())),
    ('context', pa.string()),
  ]
)
PAIRS = pa.schema([('layer', pa.int32()), ('feature', pa.int32())])

_DTYPES = {
  np.dtype(dtype): name
  for name, dtype in (
    ('F64', np.float64),
    ('F32', np.float32),
    ('F16', np.float16),
    ('BF16', ml_dtypes.bfloat16),
    ('I64', np.int64),
    ('I32', np.int32),
    ('I16', np.int16),
    ('I8', np.int8),
    ('U8', np.uint8),
    ('BOOL', np.bool_),
  )
}


def inputs(source: files.PathLike) -> list[tuple[epath.Path, str]]:
  """Lists the files that are converted or copied, and their names below.

  Args:
    source: a file or a folder.

  Raises:
    errors.InputError: if there is none.
  """
  path = files.path(source)
  if path.is_file():
    return [(path, path.name)]
  if not path.is_dir():
    raise errors.InputError(
      f'config.source is {path}: expected a pickle, a .pt file or a folder'
    )
  found = sorted(_below(path))
  wanted = (*sources.PICKLES, *_COPIED)
  chosen = [(p, str(p.relative_to(path))) for p in found if p.suffix in wanted]
  if not any(p.suffix in sources.PICKLES for p, _ in chosen):
    raise errors.InputError(
      f'{path} holds no pickle among {len(found)} files: expected names that '
      f'end in {", ".join(sources.PICKLES)}'
    )
  return chosen


def _below(folder: epath.Path) -> Iterator[epath.Path]:
  """Yields the files of a folder and of those in it."""
  for path in folder.iterdir():
    if path.is_dir():
      yield from _below(path)
    else:
      yield path


def convert(path: epath.Path, name: str, out: epath.Path) -> str:
  """Converts or copies one file, unless that is done.

  Args:
    path: the file.
    name: what it is called below `out`, endings included.
    out: the folder that is written to.

  Returns:
    The name of what is written below `out`.

  Raises:
    errors.InputError: if the file holds something else than is expected.
  """
  if path.suffix in _COPIED:
    if not (out / name).exists():
      files.write_bytes(out / name, path.read_bytes())
    return name
  stem = name.removesuffix(path.suffix)
  for ending in ('.safetensors', '.parquet'):
    if (out / f'{stem}{ending}').exists():
      return f'{stem}{ending}'
  content = pickles.read(path)
  if isinstance(content, np.ndarray):
    content = {VALUES: content}
    if re.fullmatch(r'(.*/)?layer_\d+', stem) and content[VALUES].ndim == 2:
      content = {DIRECTIONS: content[VALUES].T}
  if _is_tensors(content):
    _write_tensors(out / f'{stem}.safetensors', content)
    return f'{stem}.safetensors'
  size = path.stat().length
  if _is_pairs(content):
    table = pa.Table.from_pylist(
      [{'layer': layer, 'feature': feature} for layer, feature in content],
      PAIRS,
    )
  else:
    table = _labels(path, content, size)
  written = io.BytesIO()
  parquet.write_table(table, written)
  files.write_bytes(out / f'{stem}.parquet', written.getvalue())
  return f'{stem}.parquet'


def _is_tensors(content: Any) -> bool:
  return (
    isinstance(content, dict)
    and bool(content)
    and all(
      isinstance(k, str) and isinstance(v, np.ndarray)
      for k, v in content.items()
    )
  )


def _is_pair(entry: Any) -> bool:
  return (
    isinstance(entry, (tuple, list))
    and len(entry) == 2
    and all(
      isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 31
      for n in entry
    )
  )


def _is_pairs(content: Any) -> bool:
  return isinstance(content, list) and all(map(_is_pair, content))


def _labels(path: epath.Path, content: Any, size: int) -> pa.Table:
  """Reads a list of ((layer, feature), labels)."""
  expected = (
    'expected an array, arrays by name, a list of (layer, feature), or of '
    '((layer, feature), labels)'
  )
  if not isinstance(content, list):
    raise errors.InputError(
      f'{path} holds a {type(content).__name__}: {expected}'
    )
  rows, left = [], _SHARED * size
  for n, entry in enumerate(content):
    if not (
      isinstance(entry, tuple)
      and len(entry) == 2
      and _is_pair(entry[0])
      and isinstance(entry[1], dict)
    ):
      raise errors.InputError(
        f'{path}: entry {n} is no ((layer, feature), labels): {expected}'
      )
    (layer, feature), own = entry
    chosen, every = own.get('chosen_label'), own.get('all_labels', [])
    scores, context = own.get('all_label_scores', {}), own.get('context')
    if (
      not isinstance(chosen, str)
      or not isinstance(every, list)
      or not all(isinstance(label, str) for label in every)
      or not isinstance(scores, dict)
      or not isinstance(context, (str, type(None)))
    ):
      raise errors.InputError(
        f'{path}: the labels of entry {n} are not as published: expected '
        'chosen_label, all_labels, all_label_scores'
      )
    left -= len(chosen) + len(context or '') + sum(8 + len(e) for e in every)
    if left < 0:
      raise errors.InputError(
        f'{path}: its labels are far longer than its {size} bytes: expected a '
        'published file'
      )
    rows.append(
      {
        'layer': layer,
        'feature': feature,
        'chosen_label': chosen,
        'all_labels': every,
        'scores': [_score(path, n, scores.get(label)) for label in every],
        'context': context,
      }
    )
  return pa.Table.from_pylist(rows, LABELS)


def _score(path: epath.Path, entry: int, score: Any) -> float | None:
  if score is None or isinstance(score, (int, float, np.floating)):
    return None if score is None else float(score)
  raise errors.InputError(
    f'{path}: a score of entry {entry} is a {type(score).__name__}: expected a '
    'number or None'
  )


def _write_tensors(name: epath.Path, tensors: Mapping[str, np.ndarray]) -> None:
  """Writes a safetensors file, some rows of a tensor at a time."""
  header: dict[str, Any] = {}
  offset = 0
  for key, values in sorted(tensors.items()):
    if values.dtype not in _DTYPES:
      raise errors.InputError(
        f'{name}: tensor {key} is of dtype {values.dtype}: expected one of '
        f'{", ".join(map(str, _DTYPES))}'
      )
    header[key] = {
      'dtype': _DTYPES[values.dtype],
      'shape': list(values.shape),
      'data_offsets': [offset, offset + values.nbytes],
    }
    offset += values.nbytes
  text = json.dumps(header, sort_keys=True).encode()
  text += b' ' * (-len(text) % 8)
  with files.writing(name) as out:
    out.write(struct.pack('<Q', len(text)) + text)
    for _, values in sorted(tensors.items()):
      for part in _parts(values):
        out.write(part.tobytes())


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
  """Yields an array in pieces of whole rows, in the order of its rows."""
  if values.ndim < 2 or not values.size:
    yield values
    return
  step = max(1, _CHUNK_BYTES * len(values) // values.nbytes)
  for start in range(0, len(values), step):
    yield np.ascontiguousarray(values[start : start + step])


def write_manifest(out: epath.Path, written: Sequence[tuple[str, str]]) -> None:
  """Notes what was made of what; with it, the folder is complete."""
  files.write_json(
    out / MANIFEST,
    {
      'format_version': FORMAT_VERSION,
      'files': [{'source': a, 'written': b} for a, b in written],
    },
  )
