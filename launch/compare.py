# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
r"""Puts evaluations of one explanation set side by side, with paired tests.

  python -m launch.compare --workdir=DIR \
    --evaluations=first=EVALUATION_DIR,second=EVALUATION_DIR

Writes comparison.json, comparison.html and differences.parquet, the records on
which they differ, into WORKDIR. The first is compared with each other. Of each
`--arm` is taken, or the arm that is named after a colon:
`stranger=EVALUATION_DIR:stranger`.
"""

from typing import NamedTuple

from absl import flags
from absl import logging
import pyarrow as pa
from pyarrow import parquet

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import pairing
from selfexplain_jax.reports import comparison_page

_EVALUATIONS = flags.DEFINE_list(
  'evaluations', None, 'Workdirs of evaluate_fidelity, NAME=DIR or DIR each.'
)
_ARM = flags.DEFINE_string('arm', 'self', 'Whose answers are compared.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the resamples.', lower_bound=0)


class Named(NamedTuple):
  """An evaluation as it is given."""

  name: str
  directory: str
  arm: str


def named(text: str) -> Named:
  """Reads one of `--evaluations`."""
  name, equals, place = text.partition('=')
  if not equals:
    name, place = '', text
  directory, colon, arm = place.rpartition(':')
  if not colon or '/' in arm:  # Of an object store, or of no arm.
    directory, arm = place, _ARM.value
  return Named(name or directory.rstrip('/'), directory, arm)


def main() -> int:
  """Compares, and writes what comes of it."""
  if not flags.FLAGS.workdir:
    raise errors.InputError('--workdir is missing: expected a folder')
  given = [named(text) for text in _EVALUATIONS.value or ()]
  if len(given) < 2:
    raise errors.InputError(
      f'--evaluations has {len(given)}: expected at least two, separated by '
      'commas'
    )
  if len({one.name for one in given}) < len(given):
    raise errors.InputError(
      '--evaluations has a name twice: expected a different NAME= for each'
    )
  read = [pairing.read(*one) for one in given]
  figures, differing = pairing.compare(read, _SEED.value)
  out = files.path(flags.FLAGS.workdir)
  with files.writing(out / 'differences.parquet') as kept:
    table = pa.table(
      {
        'record': [row['record'] for row in differing],
        **{
          f'{what}.{one.name}': [row[what][one.name] for row in differing]
          for what in ('answers', 'right')
          for one in given
        },
      }
    )
    parquet.write_table(table, kept)
  comparison_page.write(out, figures, differing)
  files.write_json(out / 'comparison.json', figures)
  print(comparison_page.text(figures))
  logging.info('Page: %s', out / comparison_page.NAME)
  return 0


if __name__ == '__main__':
  cli.launch_flags(main, keep=('workdir',))
