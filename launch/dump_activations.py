# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps a target's activations on its prompts into an activation store.

Writes WORKDIR/prompts.parquet and, as WORKDIR, the store.
"""

from absl import logging
import jax
import ml_collections

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax.activations import dump
from selfexplain_jax.activations import layout
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import samples
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.worlds.biographies import pretraining


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Dumps the store, unless the workdir holds it already."""
  cli.require(config, 'target')
  if cli.finished(config, workdir, 'manifest.json'):
    return

  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    # The target, and what it is to read.
    model, tokenizer = artefact.load(config.target, mesh)
    match config.prompts.source:
      case 'biographies':
        prompts = pretraining.load(config.target).prompts(tokenizer)
      case 'samples':
        prompts = samples.sample_prompts(
          model, tokenizer, seed=config.seed, **config.prompts.samples
        )
      case other:
        raise errors.InputError(
          f"config.prompts.source is {other!r}: expected 'biographies' or "
          "'samples'"
        )

    # What will be written.
    layers = tuple(config.layers) or tuple(range(model.config.layers))
    kinds = len(prompts.positions)
    plan = dump.Plan(
      spec=layout.StoreSpec(
        target=huggingface.weight_hash(config.target)[:12],
        weight_hash=huggingface.weight_hash(config.target),
        tokenizer_hash=tokenizer.digest(),
        sites=tuple(config.sites),
        layers=layers,
        width=model.config.width,
        dtype=config.dtype,
        rows_per_shard=config.prompts_per_shard * kinds,
        layered=tuple(s for s in config.sites if sites_lib.site(s).layered),
      ),
      rows=len(prompts) * kinds,
      prompts_per_shard=config.prompts_per_shard,
    )
    logging.info(
      'Dumping: %d prompts, %d rows of %d layers, %.3f GB',
      len(prompts),
      plan.rows,
      len(layers),
      plan.gigabytes,
    )
    if dry_run:
      return
    cli.begin(config, workdir)
    prompts_lib.write(prompts, workdir)
    dump.dump(model, prompts, plan, workdir)


if __name__ == '__main__':
  cli.launch(run, config='experiments/world/dump.py')
