# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps a target's activations on its prompts into an activation store.

Writes WORKDIR/prompts.parquet and, as WORKDIR, the store.
"""

from absl import logging
import jax
import ml_collections
import numpy as np

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax.activations import documents
from selfexplain_jax.activations import dump
from selfexplain_jax.activations import layout
from selfexplain_jax.data import corpora
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import samples
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.worlds.biographies import pretraining


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Dumps the store, unless the workdir holds it already."""
  cli.require(config, 'target')
  cli.require_least(config, seed=0, prompts_per_shard=1)
  cli.require_dtype(config)
  if cli.finished(config, workdir, 'manifest.json'):
    return

  # What the target is to read. Its own samples are only drawn once the work
  # begins: their sizes are known before.
  mesh = mesh_lib.make_mesh(**config.mesh)
  shape = huggingface.read_config(config.target)
  tokenizer = artefact.load_tokenizer(config.target)
  prompts = None
  match config.prompts.source:
    case 'biographies':
      prompts = pretraining.load(config.target).prompts(tokenizer)
      count, kinds = len(prompts), len(prompts.positions)
      passes = tokens = prompts.padded()[0].size
    case 'documents':
      _check_length(config, shape.max_positions)
      cli.require_least(config.prompts.documents, start=0, count=1, length=2)
      asked = config.prompts.documents
      corpus = corpora.of_model(config.target, tokenizer)
      prompts = documents.documents(corpus, tokenizer, **asked)
      count, kinds = asked.count, asked.length - 1
      passes = tokens = count * asked.length
    case 'samples':
      _check_length(config, shape.max_positions)
      count, kinds = config.prompts.samples.count, len(samples.POSITION_KINDS)
      tokens = count * config.prompts.samples.length
      # Each token that is sampled takes a pass over the whole prompt.
      passes = tokens * config.prompts.samples.length
    case other:
      raise errors.InputError(
        f"config.prompts.source is {other!r}: expected 'biographies', "
        "'documents' or 'samples'"
      )

  # What will be written.
  layers = tuple(config.layers) or tuple(range(shape.layers))
  capture.build(shape, tuple(config.sites), layers, np.zeros((1, 1), np.int32))
  weight_hash = huggingface.weight_hash(config.target)
  plan = dump.Plan(
    spec=layout.StoreSpec(
      target=weight_hash[:12],
      weight_hash=weight_hash,
      tokenizer_hash=tokenizer.digest(),
      sites=tuple(config.sites),
      layers=layers,
      width=shape.width,
      dtype=config.dtype,
      rows_per_shard=config.prompts_per_shard * kinds,
      layered=tuple(s for s in config.sites if sites_lib.site(s).layered),
    ),
    rows=count * kinds,
    prompts_per_shard=config.prompts_per_shard,
  )
  logging.info(
    'Dumping: %d prompts, %d tokens, %d rows of %d layers, %.3f GB, roughly '
    '%.1f minutes',
    count,
    tokens,
    plan.rows,
    len(layers),
    plan.gigabytes,
    estimate.minutes(estimate.forward(shape.weights, passes)),
  )
  if dry_run:
    return

  with jax.set_mesh(mesh):
    model, _ = artefact.load(config.target, mesh, config.dtype)
    if prompts is None:
      prompts = samples.sample_prompts(
        model, tokenizer, seed=config.seed, **config.prompts.samples
      )
    cli.begin(config, workdir)
    prompts_lib.write(prompts, workdir)
    dump.dump(model, prompts, plan, workdir)


def _check_length(config: ml_collections.ConfigDict, most: int) -> None:
  """Checks that the target can read prompts as long as is asked for."""
  source = config.prompts.source
  length = config.prompts[source].length
  if length > most:
    raise errors.InputError(
      f'config.prompts.{source}.length is {length}: expected at most {most}, '
      f'the positions of {config.target}'
    )


if __name__ == '__main__':
  cli.launch(run, config='experiments/world/dump.py')
