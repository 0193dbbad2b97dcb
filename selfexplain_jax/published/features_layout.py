# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Reads published feature descriptions, converted (method E.1).

```
FOLDER/
  features/layer_L.safetensors                    directions [n, d]
  explanations/SPLIT_explanations.parquet         labels
  explanations/SPLIT_layer_feature_idxs.parquet   whose exemplars are whose
  SPLIT/layerL/max_seq_ids.npy                    exemplars [n, k, T]
```
"""

from collections.abc import Iterator
import dataclasses
from typing import Any

from etils import epath
import numpy as np
import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.dictionary import tensor_files
from selfexplain_jax.published import conversion
from selfexplain_jax.published import sources

WHAT = 'labels of features, converted by launch.convert_published'


@dataclasses.dataclass(frozen=True)
class Label:
  """A feature and its label.

  Attributes:
    layer: of the feature.
    feature: its index.
    text: the label.
    score: that the publishers gave it; None for none.
  """

  layer: int
  feature: int
  text: str
  score: float | None


def _converted(folder: epath.Path, name: str, ending: str) -> epath.Path:
  """A file of the layout, if it is there.

  Raises:
    errors.InputError: if it is not, saying how to convert its pickle.
  """
  found = folder / f'{name}{ending}'
  if found.exists():
    return found
  for other in sources.PICKLES:
    if (folder / f'{name}{other}').exists():
      raise errors.InputError(
        f'{folder} holds pickles, which could run code: convert it first with '
        f'python -m launch.convert_published --config.source={folder} '
        '--workdir=DIR, and name DIR'
      )
  raise errors.InputError(
    f'no {found}: expected a folder of published feature descriptions'
  )


def labels(folder: epath.Path, name: str, layers: int) -> Iterator[Label]:
  """Yields the labels of a file.

  Args:
    folder: of the data.
    name: of the file in `explanations`, without its ending.
    layers: of the target.

  Raises:
    errors.InputError: if it is missing, not converted or damaged, or a row
      makes no sense, naming the row.
  """
  path = _converted(folder, f'explanations/{name}', '.parquet')
  schema = pa.schema(
    [f for f in conversion.LABELS if f.name in ('layer', 'feature')]
    + [
      pa.field('chosen_label', pa.string()),
      sources.optional('all_labels', pa.list_(pa.string())),
      sources.optional('scores', pa.list_(pa.float64())),
    ]
  )
  for start, batch in sources.batches(path, schema, WHAT):
    for n, row in enumerate(batch.to_pylist()):
      where = sources.place(path, start + n)
      if not 0 <= row['layer'] < layers or row['feature'] < 0:
        raise errors.InputError(
          f'{where}: layer is {row["layer"]} and feature {row["feature"]}: '
          f'expected a feature of the {layers} layers of the target'
        )
      text = ' '.join(row['chosen_label'].split())
      if not text:
        raise errors.InputError(
          f'{where}: chosen_label is empty: expected a text'
        )
      yield Label(row['layer'], row['feature'], text, _score(row))


def _score(row: dict[str, Any]) -> float | None:
  """The score of the chosen label."""
  scores = dict(zip(row['all_labels'] or (), row['scores'] or (), strict=False))
  return scores.get(row['chosen_label'])


class Directions:
  """The decoder directions of a layer, left in their file."""

  def __init__(self, folder: epath.Path, layer: int, width: int):
    """Opens them.

    Raises:
      errors.InputError: if they are missing, not converted, damaged, or of
        another width.
    """
    path = _converted(folder, f'features/layer_{layer}', '.safetensors')
    found = tensor_files.safetensors_file(path)
    if set(found) != {conversion.DIRECTIONS}:
      raise errors.InputError(
        f'{path} holds {", ".join(found) or "nothing"}: expected '
        f'{conversion.DIRECTIONS}, as launch.convert_published writes them'
      )
    self._path, self._rows = path, found[conversion.DIRECTIONS]
    if self._rows.ndim != 2 or self._rows.shape[1] != width:
      raise errors.InputError(
        f'{path}: {conversion.DIRECTIONS} has shape {self._rows.shape}: '
        f'expected [features, {width}], the width of the target'
      )

  def check(self, index: np.ndarray) -> None:
    """Checks that there are features i[n].

    Raises:
      errors.InputError: if there is one that is not.
    """
    if index.max(initial=0) >= len(self._rows):
      raise errors.InputError(
        f'{self._path} has {len(self._rows)} features: expected more than '
        f'{index.max()}, of which there is a label'
      )

  def take(self, index: np.ndarray) -> np.ndarray:
    """Returns f32[n, D] of features i[n]; only they are read.

    Raises:
      errors.InputError: if one is not finite.
    """
    taken = np.asarray(self._rows[index], np.float32)
    wrong = np.flatnonzero(~np.all(np.isfinite(taken), 1))
    if len(wrong):
      raise errors.InputError(
        f'{self._path}: the direction of feature {index[wrong[0]]} is not '
        'finite: expected numbers'
      )
    return taken


def exemplars(
  folder: epath.Path, split: str, layer: int, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
  """Reads the documents in which features of a layer are most active.

  Args:
    folder: of the data.
    split: of the features.
    layer: of the features.
    most: documents of each.

  Returns:
    The features, i[n], and their documents i32[n, most or less, T]; None if the
    data have none.

  Raises:
    errors.InputError: if they are damaged, or not those of the features.
  """
  path = folder / f'{split}/layer{layer}/max_seq_ids.npy'
  if not path.exists():
    return None
  try:
    with path.open('rb') as source:
      ids = np.load(source, allow_pickle=False)
  except (ValueError, EOFError, OSError) as e:
    raise errors.InputError(
      f'{path} is damaged, or no array: {e}: expected token ids'
    ) from e
  index = _converted(
    folder, f'explanations/{split}_layer_feature_idxs', '.parquet'
  )
  owners = np.array(
    [
      row['feature']
      for _, batch in sources.batches(index, conversion.PAIRS, WHAT)
      for row in batch.to_pylist()
      if row['layer'] == layer
    ],
    np.int64,
  )
  if ids.ndim != 3 or ids.dtype.kind not in 'iu' or len(ids) != len(owners):
    raise errors.InputError(
      f'{path} has shape {ids.shape} of {ids.dtype}: expected token ids '
      f'[{len(owners)} features of {index.name}, exemplars, tokens]'
    )
  return owners, ids[:, :most].astype(np.int32)


def vectors(
  folder: files.PathLike, layers: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
  """Reads a set of vectors that are no features.

  Args:
    folder: with `test_indices.json` and the converted `test_vectors`.
    layers: of the target.
    width: of the target, D.

  Returns:
    The layers, i[n], and the vectors, f32[n, D].

  Raises:
    errors.InputError: if a file is missing, not converted or damaged, or the
      two do not go together.
  """
  path = files.path(folder)
  tensors = _converted(path, 'test_vectors', '.safetensors')
  found = tensor_files.safetensors_file(tensors)
  rows = next(iter(found.values()), np.zeros(0))
  if len(found) != 1 or rows.ndim != 2 or rows.shape[1] != width:
    raise errors.InputError(
      f'{tensors} has shape {rows.shape}: expected one array [n, {width}]'
    )
  name = path / 'test_indices.json'
  index = files.read_json(name, 'indices of vectors')
  if (
    not isinstance(index, list)
    or len(index) != len(rows)
    or not all(
      isinstance(pair, list)
      and len(pair) == 2
      and isinstance(pair[0], int)
      and 0 <= pair[0] < layers
      for pair in index
    )
  ):
    raise errors.InputError(
      f'{name}: expected a [layer, number] of each of the {len(rows)} vectors, '
      f'of the {layers} layers of the target'
    )
  return np.array([pair[0] for pair in index]), np.asarray(rows, np.float32)
