# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Prompts: token sequences whose last position says what is measured.

They are written once, beside the activations that were taken from them, and
everything later reads ids from there: nothing is tokenised twice.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import io

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files

_FILE = 'prompts.parquet'


@dataclasses.dataclass(frozen=True)
class Prompts:
  """N prompts.

  Attributes:
    ids: token ids of each, BOS included.
    text: each as text, without BOS.
    positions: for each position kind, i32[N]: its absolute position in each.
    kind: what the prompt asks; two prompts of one kind have the same positions
      and can be each other's counterfactual.
    group: who or what each is about: the unit of splits and of resampling.
    split: 'train', 'validation' or 'test', one for a group.
    answer: i32[N], the token that a model which knows says next; -1 where no
      answer is right.
    known: bool[N], whether the target was taught the answer.
    weights: of the loss of each token of each, f32; None for 1 everywhere.
  """

  ids: Sequence[Sequence[int]]
  text: Sequence[str]
  positions: Mapping[str, np.ndarray]
  kind: Sequence[str]
  group: Sequence[str]
  split: Sequence[str]
  answer: np.ndarray
  known: np.ndarray
  weights: Sequence[np.ndarray] | None = None

  def __len__(self) -> int:
    return len(self.ids)

  def padded(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids padded on the right with 0, i32[N, T], and lengths i32[N]."""
    return pad(self.ids)


def pad(
  rows: Sequence[Sequence[int]], length: int | None = None, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
  """Pads rows of ids on the right with 0.

  Args:
    rows: N rows of ids.
    length: columns of the result; the longest row's length if None.
    step: that length is made a multiple of it.

  Returns:
    i32[N, T] and the rows' own lengths, i32[N].
  """
  lengths = np.array([len(row) for row in rows], np.int32)
  width = -(-int(lengths.max()) // step) * step if length is None else length
  padded = np.zeros((len(rows), width), np.int32)
  for i, row in enumerate(rows):
    padded[i, : len(row)] = row
  return padded, lengths


def write(prompts: Prompts, directory: files.PathLike) -> None:
  """Writes prompts into a folder."""
  columns = {
    'ids': pa.array(prompts.ids, pa.list_(pa.int32())),
    'text': pa.array(prompts.text, pa.string()),
    'kind': pa.array(prompts.kind, pa.string()),
    'group': pa.array(prompts.group, pa.string()),
    'split': pa.array(prompts.split, pa.string()),
    'answer': pa.array(prompts.answer, pa.int32()),
    'known': pa.array(prompts.known, pa.bool_()),
  }
  if prompts.weights is not None:
    columns['weights'] = pa.array(prompts.weights, pa.list_(pa.float32()))
  for kind, positions in prompts.positions.items():
    columns[f'position.{kind}'] = pa.array(positions, pa.int32())
  content = io.BytesIO()
  parquet.write_table(pa.table(columns), content)
  files.write_bytes(files.path(directory) / _FILE, content.getvalue())


def read(directory: files.PathLike) -> Prompts:
  """Reads the prompts of a folder.

  Raises:
    errors.InputError: if there are none, or a column is missing.
  """
  source = files.path(directory) / _FILE
  if not source.exists():
    raise errors.InputError(
      f'no prompts: expected a file at {source}, written by dump_activations'
    )
  try:
    table = parquet.read_table(io.BytesIO(source.read_bytes()))
    column = {name: table[name].to_numpy() for name in table.column_names}
    return Prompts(
      ids=table['ids'].to_pylist(),
      text=table['text'].to_pylist(),
      positions={
        name.removeprefix('position.'): values
        for name, values in column.items()
        if name.startswith('position.')
      },
      kind=table['kind'].to_pylist(),
      group=table['group'].to_pylist(),
      split=table['split'].to_pylist(),
      answer=column['answer'],
      known=column['known'],
      weights=column.get('weights'),
    )
  except (KeyError, pa.ArrowException) as e:
    raise errors.InputError(f'{source} is damaged: {e}') from e
