# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trains an explainer on an explanation set.

Writes WORKDIR/model, the checkpoint with the best exact match on validation
people, and WORKDIR/metrics.json, which says how it did there with its real
vectors and with shuffled ones.
"""

import functools

from absl import logging
import jax
import ml_collections

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import replay
from selfexplain_jax.explainer import train_step
from selfexplain_jax.explainer import validation
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.tasks import table
from selfexplain_jax.training import freezing
from selfexplain_jax.training import loop
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Trains and writes the explainer, unless the workdir holds it already."""
  cli.require(config, 'explanations', 'initial')
  cli.require_least(
    config,
    seed=0,
    examples=0,
    lora_rank=0,
    steps=1,
    batch=1,
    row_length=2,
    examples_per_row=1,
    evaluate_every=1,
    validation_examples=1,
    checkpoint_every=1,
  )
  cli.require_least(config.replay, batch=0, weight=0)
  if cli.finished(config, workdir, 'metrics.json'):
    return

  # What it learns from.
  explained = explanations.read(config.explanations)
  chosen = explained.split('train')[: config.examples or None]
  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    model, tokenizer = artefact.load(config.initial, mesh)
    width = explained.vectors.shape[1]
    if width != model.config.width:
      raise errors.InputError(
        f'{config.initial} is {model.config.width} wide: expected {width}, the '
        f'width of the vectors of {config.explanations}'
      )
    phrasings = table.task(explained.manifest['task']).PHRASINGS
    questions = questions_lib.encode(explained, chosen, tokenizer, phrasings)
    rows = pipeline.PackedRows(
      questions,
      explained.vectors[chosen],
      seed=config.seed,
      capacity=config.row_length,
      per_row=config.examples_per_row,
      rows=config.steps * config.batch,
    )
    replayed = replay.rows(config, tokenizer)
    tokens_per_step = (config.batch + config.replay.batch) * config.row_length
    tokens = config.steps * tokens_per_step
    logging.info(
      'Training: %d examples, %d steps of %d rows of %d tokens, %.2f M tokens, '
      'roughly %.1f minutes',
      len(chosen),
      config.steps,
      config.batch + config.replay.batch,
      config.row_length,
      tokens / 1e6,
      estimate.minutes(estimate.training(model.config.weights, tokens)),
    )

    # The step, and what is measured on validation people.
    injection = injection_lib.make(
      config.injection, model, tokenizer.vector_id, config.injection_block
    )
    frozen = freezing.NOTHING
    if not config.lora_rank:
      frozen = freezing.Frozen(tuple(config.frozen.names), config.frozen.blocks)
    freezing.check(model, frozen)
    optimizer = optimizer_lib.make(config.optimizer, config.steps, frozen)
    trained: decoder.Decoder | lora.Lora = model
    base = None
    if config.lora_rank:
      key = jax.random.key(config.seed)
      trained, base = lora.initialize(model, config.lora_rank, key, mesh), model
    watch = validation.Validation(
      explained,
      tokenizer,
      injection,
      phrasings,
      workdir,
      config,
      {
        'records_digest': explained.manifest['records_digest'],
        'examples': len(chosen),
        'initial': huggingface.weight_hash(config.initial),
        'seed': config.seed,
        'steps': config.steps,
      },
      base,
    )
    if dry_run:
      return
    cli.begin(config, workdir)
    job = loop.Job(
      name='explainer',
      steps=config.steps,
      step=train_step.make_step(
        optimizer, injection, config.replay.weight, base
      ),
      batches=functools.partial(
        replay.mixed,
        functools.partial(pipeline.batches, rows, config.batch),
        replayed,
      ),
      tokens_per_step=tokens_per_step,
      evaluate=watch,
      evaluate_every=config.evaluate_every,
      checkpoint_every=config.checkpoint_every,
    )
    _, notes = loop.train(job, state_lib.start(trained, optimizer), workdir)
  files.write_json(files.path(workdir) / 'metrics.json', notes)


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/explainer.py')
