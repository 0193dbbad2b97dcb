# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes an explanation set: runs interventions on a target, notes the effects.

Writes the set as WORKDIR.
"""

from typing import Any

from absl import logging
import jax
import ml_collections

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax.activations import reader
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import table

# About what a record takes on disk besides its vector.
_BYTES_PER_RECORD = 200


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Makes the set, unless the workdir holds it already."""
  cli.require(config, 'target', 'store')
  cli.require_least(config, seed=0, rounds=1)
  cli.require_least(config.quota, train=1, validation=1, test=1)
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
    if store.manifest.spec.tokenizer_hash != tokenizer.digest():
      raise errors.InputError(
        f'{config.store} was made with another tokenizer than that of '
        f'{config.target}'
      )
    blocks = _blocks(config.blocks)
    for first, last in blocks:
      if not 0 <= first <= last < model.config.layers:
        raise errors.InputError(
          f'config.blocks has {first, last}: expected 0 <= first <= last < '
          f'{model.config.layers}, the layers of {config.target}'
        )
    cells = len(prompts.positions) * len(blocks)
    records = 2 * cells * sum(config.quota.values())
    # Twice the quota is drawn at first, and in later rounds 8 times as much.
    runs = cells * sum(config.quota.values()) * (8 * config.rounds - 6)
    tokens = runs * max(len(ids) for ids in prompts.ids)
    logging.info(
      'Explaining: %d kinds of cells; at most %d records, %.3f GB, roughly '
      '%.1f minutes',
      cells,
      records,
      records * (4 * model.config.width + _BYTES_PER_RECORD) / 1e9,
      estimate.minutes(estimate.forward(model.config.weights, tokens)),
    )
    if dry_run:
      return

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
    cli.begin(config, workdir)
    made, vectors, notes = patching_effects.make(maker, config)
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
  explanations.write(workdir, made, vectors, manifest)


def _blocks(blocks: Any) -> tuple[cells_lib.Block, ...]:
  """Returns the layer blocks of a config."""
  try:
    pairs = tuple((int(first), int(last)) for first, last in blocks)
  except (TypeError, ValueError):
    pairs = ()
  if not pairs:
    raise errors.InputError(
      f'config.blocks is {blocks}: expected pairs of a first and a last layer, '
      'such as ((0, 0), (1, 2))'
    )
  return pairs


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/explanations.py')
