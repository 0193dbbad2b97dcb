# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Evaluations that have ended, as evaluate_fidelity leaves them in workdirs."""

from collections.abc import Iterator
import io
import os
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.tasks import table as table_lib

PREDICTIONS, FIGURES = 'predictions', 'metrics.json'

# Folders of thousands of files, among which there is no evaluation.
_PASSED_OVER = ('checkpoints', 'model', 'vectors')


def find(folder: files.PathLike) -> Iterator[Any]:
  """Yields the workdirs of ended evaluations in a folder, itself among them."""
  place = files.path(folder)
  if (place / f'{PREDICTIONS}.parquet').exists():
    if (place / FIGURES).exists():  # It is written last.
      yield place
    return
  if not place.is_dir():
    return
  for below in sorted(place.iterdir(), key=os.fspath):
    if below.is_dir() and below.name not in _PASSED_OVER:
      yield from find(below)


def figures(folder: files.PathLike) -> dict[str, Any]:
  """Returns the content of an evaluation's metrics.json.

  Raises:
    errors.InputError: if there is none, or it is of another stage.
  """
  found = files.read_json(files.path(folder) / FIGURES, 'figures')
  if found.get('task') not in table_lib.TASKS:
    raise errors.InputError(
      f'{folder} is not the workdir of an evaluation: expected one of '
      'evaluate_fidelity'
    )
  return found


def table(folder: files.PathLike, name: str = PREDICTIONS) -> pa.Table:
  """Reads a table of an evaluation.

  Raises:
    errors.InputError: if it is missing or damaged.
  """
  place = files.path(folder) / f'{name}.parquet'
  try:
    return parquet.read_table(io.BytesIO(place.read_bytes()))
  except (OSError, pa.ArrowException) as e:
    raise errors.InputError(f'{place} is missing or damaged: {e}') from e
