# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Converts published pickles and `.pt` files into safetensors and parquet.

The only binary that reads pickle, and it calls nothing that a file names.
Writes the converted files below WORKDIR, as they lie below the source; those
that are there already are not converted again.
"""

from absl import logging
import ml_collections

from launch import cli
from launch import workdirs
from selfexplain_jax import files
from selfexplain_jax.published import conversion


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Converts, unless the workdir holds the whole result already."""
  cli.require(config, 'source')
  if workdirs.finished(config, workdir, conversion.MANIFEST):
    return
  inputs = conversion.inputs(config.source)
  sizes = sum(path.stat().length for path, _ in inputs)
  logging.info('Converting: %d files, %.3f GB', len(inputs), sizes / 1e9)
  if dry_run:
    return
  workdirs.begin(config, workdir)
  out = files.path(workdir)
  written = []
  for path, name in inputs:
    made = conversion.convert(path, name, out)
    logging.info('%s', made)
    written.append((name, made))
  conversion.write_manifest(out, written)


if __name__ == '__main__':
  cli.launch(run, config='experiments/conversion.py')
