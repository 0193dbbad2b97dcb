# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Takes a published explainer as one that can be evaluated.

Writes WORKDIR/model: how it is asked, its tokenizer, and where its weights lie.
"""

from absl import logging
import jax
import ml_collections

from launch import cli
from launch import workdirs
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import published as published_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.tasks import table


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Imports the explainer, unless the workdir holds it already."""
  cli.require(config, 'checkpoint', 'phrasings')
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  # How it is asked.
  published = published_lib.read(
    config.checkpoint,
    config.phrasings,
    [task.language for task in table.TASKS.values()],
    config.tokenizer,
    config.chat,
    config.doubled_bos,
  )
  planned = mesh_lib.plan_mesh()
  shape = huggingface.read_config(config.checkpoint)
  taken = estimate.memory(decoder.abstract(shape), planned)
  logging.info(
    'Importing: %d layers, %.2f M weights, %s, asked about %s, %d projections',
    shape.layers,
    taken.parameters / 1e6,
    estimate.gigabytes(taken.total),
    ', '.join(published.phrasings),
    len(published.projections),
  )
  if dry_run:
    return

  # What says so.
  workdirs.begin(config, workdir)
  with jax.set_mesh(mesh_lib.make_mesh()):
    published.save(files.path(workdir) / 'model')
  files.write_json(
    files.path(workdir) / 'metrics.json',
    {
      'checkpoint': config.checkpoint,
      'phrasings': {n: len(own) for n, own in published.phrasings.items()},
      'projections': len(published.projections),
    },
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/published_explainer.py')
