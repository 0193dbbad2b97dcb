# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes an explanation set: runs interventions on a target, notes the effects.

Writes the set as WORKDIR.
"""

from absl import logging
import jax
import ml_collections

from launch import cli
from launch import workdirs
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.judges import chat
from selfexplain_jax.tasks import table
from selfexplain_jax.tasks import target as target_lib

# Fields that say where inputs lie, which says nothing of the set.
_PLACES = ('target', 'store', 'dictionary', 'corpus', 'published')
_FILES = ('facts', 'questions')


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Makes the set, unless the workdir holds it already."""
  cli.require(config, *(name for name in _PLACES if name in config))
  cli.require_least(config, seed=0)
  cli.require_dtype(config)
  task = table.task(config.task)
  prepare = table.maker(config.task, config.get('maker', table.EFFECTS))
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'manifest.json'):
    return

  # A dry run may be for other devices than there are.
  mesh = mesh_lib.make_mesh(**({} if dry_run else config.mesh))
  with jax.set_mesh(mesh):
    # The target, and what else this question type needs.
    target = target_lib.open_target(
      config.target, mesh, config.dtype, mesh_lib.plan_mesh(**config.mesh)
    )
    maker = prepare(target, config)
    logging.info('Explaining: %s', maker.plan)
    if dry_run:
      return

    # What really happens.
    workdirs.begin(config, workdir)
    made = maker.make(workdir)
  manifest = {
    'task': config.task,
    'target': {
      'weight_hash': target.weight_hash,
      'tokenizer_hash': target.tokenizer.digest(),
    },
    'config': {
      k: v
      for k, v in chat.without_means(config.to_dict()).items()
      if k not in (*_PLACES, *_FILES)
    },
    'notes': made.notes,
  }
  explanations.write(
    workdir,
    made.records,
    task.language.SCHEMA,
    made.vectors,
    manifest,
    made.documents,
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/explanations.py')
