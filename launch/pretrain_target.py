# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Pretrains a target model on the biographies world.

Writes WORKDIR/model, a Hugging Face directory with its tokenizer and a note of
the corpus it has read (`pretraining.json`), and WORKDIR/metrics.json.
"""

import functools

from absl import logging
import jax
import ml_collections

from launch import cli
from launch import workdirs
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import flops
from selfexplain_jax.tasks import table
from selfexplain_jax.training import accumulation
from selfexplain_jax.training import language_modelling
from selfexplain_jax.training import loop
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib
from selfexplain_jax.worlds.biographies import pretraining
from selfexplain_jax.worlds.biographies import recall

# Bytes that a weight takes on disk: float32 in the model, and in each of two
# checkpoints with at most two moments.
_BYTES_PER_WEIGHT = 4 * (1 + 2 * 3)


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Pretrains and writes the model, unless the workdir holds it already."""
  cli.require_least(
    config,
    seed=0,
    steps=1,
    batch=1,
    accumulate=1,
    row_length=2,
    checkpoint_every=1,
    quoted_ids=0,
    named_layers=0,
  )
  accumulation.check(config.accumulate, batch=config.batch)
  loop.check_restore(config.restore_from)
  cli.require_least(config.world, world_seed=0, known_seed=0, corpus_seed=0)
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  # What the model reads.
  corpus = pretraining.Corpus(**config.world)
  # It may explain a model without texts, whose tokens it then has to name.
  ids = (f't{i}' for i in range(config.quoted_ids))
  layers = max(config.model.layers, config.named_layers)
  tokenizer = corpus.tokenizer([*table.words(layers), *ids])
  shape = config_lib.DecoderConfig(
    vocabulary=tokenizer.vocab_size, remat=config.remat, **config.model
  )
  tokens = config.steps * config.batch * config.row_length
  logging.info(
    'Pretraining: %d steps of %d x %d tokens, %.2f M tokens and %.2f M weights '
    'in all, %.3f GB, roughly %.1f minutes',
    config.steps,
    config.batch,
    config.row_length,
    tokens / 1e6,
    shape.weights / 1e6,
    shape.weights * _BYTES_PER_WEIGHT / 1e9,
    estimate.minutes(
      estimate.training(shape.weights, tokens),
      mesh_lib.plan_mesh(**config.mesh),
    ),
  )
  if dry_run:
    return
  mesh = mesh_lib.make_mesh(**config.mesh)
  workdirs.begin(config, workdir)
  out = files.path(workdir)

  # The step, under the mesh.
  with jax.set_mesh(mesh):
    model = decoder.initialize(shape, jax.random.key(config.seed), mesh)
    optimizer = optimizer_lib.make(config.optimizer, config.steps)
    job = loop.Job(
      name='pretraining',
      steps=config.steps,
      step=language_modelling.make_step(optimizer, config.accumulate),
      batches=functools.partial(
        language_modelling.batches,
        functools.partial(corpus.row, tokenizer, config.row_length),
        config.batch,
        config.steps,
      ),
      tokens_per_step=config.batch * config.row_length,
      evaluate=lambda step, state, notes: notes,
      evaluate_every=config.steps,
      checkpoint_every=config.checkpoint_every,
      operations_per_step=flops.training(
        shape, config.batch, config.row_length
      ),
      profile=loop.Profile(**config.profile),
      restore_from=config.restore_from,
    )
    state, _ = loop.train(job, state_lib.start(model, optimizer), workdir)

    # What it knows now.
    known = recall.recall(state.model, corpus.prompts(tokenizer))
  logging.info('Recall of known and unknown facts: %s', known)
  artefact.save(state.model, tokenizer, out / 'model')
  corpus.save(out / 'model')
  files.write_json(out / 'metrics.json', {'recall': known})


if __name__ == '__main__':
  cli.launch(run, config='experiments/world/pretrain.py:target')
