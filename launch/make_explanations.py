# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes an explanation set: runs interventions on a target, notes the effects.

Writes the set as WORKDIR.
"""

from absl import logging
import jax
import ml_collections

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import table


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Makes the set, unless the workdir holds it already."""
  cli.require(config, 'target', 'store')
  if cli.finished(config, workdir, 'manifest.json'):
    return

  task = table.task(config.task)
  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    # The target, and the store of its own activations.
    model, tokenizer = artefact.load(config.target, mesh)
    prompts = prompts_lib.read(config.store)
    store = reader.open_store(config.store)
    weight_hash = huggingface.weight_hash(config.target)
    if store.manifest.spec.weight_hash != weight_hash:
      raise errors.InputError(
        f'{config.store} holds activations of another model than '
        f'{config.target}: expected weight_hash {weight_hash[:12]}…'
      )
    blocks = tuple(tuple(block) for block in config.blocks)
    for first, last in blocks:
      if not 0 <= first <= last < model.config.layers:
        raise errors.InputError(
          f'config.blocks has {first, last}: expected 0 <= first <= last < '
          f'{model.config.layers}, the layers of {config.target}'
        )
    cells = len(prompts.positions) * len(blocks)
    logging.info(
      'Explaining: %d kinds of cells; at most %s records',
      cells,
      {split: 2 * cells * quota for split, quota in config.quota.items()},
    )
    if dry_run:
      return
    cli.begin(config, workdir)

    # What really happens.
    maker = patching_effects.Maker(
      model=model,
      tokenizer=tokenizer,
      prompts=prompts,
      activations=patching_effects.load_activations(
        store, config.site, prompts, model.config.layers
      ),
      site=config.site,
      blocks=blocks,
    )
    records, vectors, notes = patching_effects.make(maker, config)
  manifest = {
    'task': task.NAME,
    'target': {
      'weight_hash': weight_hash,
      'tokenizer_hash': tokenizer.digest(),
    },
    'config': config.to_dict(),
    'notes': notes,
  }
  for name in ('target', 'store'):  # Where they lie says nothing of the set.
    del manifest['config'][name]
  explanations.write(workdir, records, vectors, manifest)


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/explanations.py')
