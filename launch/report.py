# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Writes the reports of evaluations anew, and a page that leads to them.

  python -m launch.report --workdir=DIR

DIR is a workdir of evaluate_fidelity, or a folder with some in it, at any
depth, such as that of the quickstart or of a study. Reports are made of
metrics.json and the tables beside it alone: nothing is asked or run.
DIR/report.html lists the evaluations with their figures.
"""

import os
from typing import Any

from absl import flags
from absl import logging
import pyarrow as pa

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import evaluations
from selfexplain_jax.reports import html


def main() -> int:
  """Writes the pages."""
  if not flags.FLAGS.workdir:
    raise errors.InputError('--workdir is missing: expected a folder')
  out = files.path(flags.FLAGS.workdir)
  found = list(evaluations.find(out))
  if not found:
    raise errors.InputError(
      f'{out} holds no evaluation: expected a folder with workdirs of '
      'evaluate_fidelity that have ended'
    )
  pages = {}
  for folder in found:
    figures = evaluations.figures(folder)
    html.write(folder, figures, _tables(folder))
    name = os.path.relpath(os.fspath(folder), os.fspath(out))
    pages[html.NAME if name == '.' else f'{name}/{html.NAME}'] = figures
  if list(pages) != [html.NAME]:
    html.write_runs(out, pages)
  logging.info('%d reports; %s leads to them', len(pages), out / html.NAME)
  return 0


def _tables(folder: Any) -> dict[str, pa.Table]:
  """Reads what a report is made of; features alone have exemplars."""
  return {
    name: evaluations.table(folder, name)
    for name in (evaluations.PREDICTIONS, 'exemplars')
    if (folder / f'{name}.parquet').exists()
  }


if __name__ == '__main__':
  cli.launch_flags(main, keep=('workdir',))
