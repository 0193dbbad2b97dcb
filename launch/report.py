# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Writes the reports of evaluations anew, and a page that leads to them.

  python -m launch.report --workdir=DIR

DIR is a workdir of evaluate_fidelity, or a folder with some in it, at any
depth, such as that of the quickstart or of a study. Reports are made of
metrics.json and the tables beside it alone: nothing is asked or run.
DIR/report.html lists the evaluations with their figures.
"""

from collections.abc import Iterator
import io
import os
from typing import Any

from absl import flags
from absl import logging
import pyarrow as pa
from pyarrow import parquet

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.reports import html
from selfexplain_jax.reports import wording

_TABLES = ('predictions', 'exemplars')


def evaluations(folder: Any) -> Iterator[Any]:
  """Yields the workdirs of evaluations in a folder, itself among them."""
  if (folder / 'predictions.parquet').exists():
    if (folder / 'metrics.json').exists():  # It has ended.
      yield folder
    return
  if not folder.is_dir():
    return
  for below in sorted(folder.iterdir(), key=os.fspath):
    # A checkpoint or a store has thousands of files, and no evaluation.
    if below.is_dir() and below.name not in ('checkpoints', 'model', 'vectors'):
      yield from evaluations(below)


def main() -> int:
  """Writes the pages."""
  if not flags.FLAGS.workdir:
    raise errors.InputError('--workdir is missing: expected a folder')
  out = files.path(flags.FLAGS.workdir)
  found = list(evaluations(out))
  if not found:
    raise errors.InputError(
      f'{out} holds no evaluation: expected a folder with workdirs of '
      'evaluate_fidelity that have ended'
    )
  pages = {}
  for folder in found:
    figures = files.read_json(folder / 'metrics.json', 'figures')
    if figures.get('task') not in wording.TITLES:
      raise errors.InputError(
        f'{folder}/metrics.json is not of an evaluation: expected a task of '
        f'{", ".join(wording.TITLES)}'
      )
    html.write(folder, figures, _tables(folder))
    name = os.path.relpath(os.fspath(folder), os.fspath(out))
    pages[html.NAME if name == '.' else f'{name}/{html.NAME}'] = figures
  if list(pages) != [html.NAME]:
    html.write_runs(out, pages)
  logging.info('%d reports; %s leads to them', len(pages), out / html.NAME)
  return 0


def _tables(folder: Any) -> dict[str, pa.Table]:
  """Reads the tables of an evaluation.

  Raises:
    errors.InputError: naming one that is damaged.
  """
  tables = {}
  for name in _TABLES:
    place = folder / f'{name}.parquet'
    if not place.exists():
      continue
    try:
      tables[name] = parquet.read_table(io.BytesIO(place.read_bytes()))
    except pa.ArrowException as e:
      raise errors.InputError(f'{place} is damaged: {e}') from e
  return tables


if __name__ == '__main__':
  cli.launch_flags(main, keep=('workdir',))
