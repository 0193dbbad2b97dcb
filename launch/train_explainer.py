# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trains an explainer on the explanation sets of one task or of several.

Writes WORKDIR/model, the checkpoint with the best exact match on the validation
split, and WORKDIR/metrics.json, which says how it did there with its real
vectors and with shuffled ones.
"""

from collections.abc import Sequence
import functools
from typing import Any

from absl import logging
import jax
import ml_collections
import numpy as np

from launch import cli
from launch import training_sets
from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.data import origins as origins_lib
from selfexplain_jax.data import phrasings as phrasings_lib
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import computed
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import layer_blocks
from selfexplain_jax.explainer import projection
from selfexplain_jax.explainer import replay
from selfexplain_jax.explainer import sizes
from selfexplain_jax.explainer import train_step
from selfexplain_jax.explainer import validation
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import flops
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import table
from selfexplain_jax.training import accumulation
from selfexplain_jax.training import freezing
from selfexplain_jax.training import loop
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Trains and writes the explainer, unless the workdir holds it already."""
  cli.require(config, 'initial')
  cli.require_least(
    config,
    seed=0,
    examples=0,
    accumulate=1,
    lora_rank=0,
    steps=1,
    batch=1,
    row_length=2,
    examples_per_row=1,
    evaluate_every=1,
    validation_examples=1,
    checkpoint_every=1,
  )
  cli.require_dtype(config)
  loop.check_restore(config.restore_from)
  cli.require_least(config.replay, batch=0, weight=0)
  accumulation.check(
    config.accumulate,
    **{'batch': config.batch, 'replay.batch': config.replay.batch},
  )
  cli.require_least(config.projection, rows=1)
  computes = computed.check(config)
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  # What it learns from.
  sets = training_sets.read(config)
  chosen = {
    name: explained.split('train')[: config.examples or None]
    for name, explained in sets.items()
  }
  languages = {name: table.task(name).language for name in sets}
  phrasings = {
    name: phrasings_lib.find(config.phrasings, spoken)
    for name, spoken in languages.items()
  }
  shape = sizes.shape(config)
  origins: dict[str, Any] = dict.fromkeys(sets)
  if computes:
    origins = training_sets.origins(config, sets, chosen, shape.width)
  site = origins_lib.site(
    origin
    for of_task in origins.values()
    for of_record in of_task or ()
    for origin in of_record
  )
  tokenizer = artefact.load_tokenizer(config.initial)
  injection_lib.check(config.injection, config.injection_block, shape.layers)
  # Of all records: others than those of training are asked about, too.
  blocks = layer_blocks.distinct(
    languages[name].layers(row)
    for name, explained in sets.items()
    for row in explained.rows
    if row['vectors']
  )
  sets = training_sets.of_width(sets, shape.width)
  rows = pipeline.PackedRows(
    [
      _examples(
        name,
        config,
        explained,
        chosen[name],
        tokenizer,
        blocks,
        phrasings[name],
        origins[name],
      )
      for name, explained in sets.items()
    ],
    seed=config.seed,
    capacity=config.row_length,
    per_row=config.examples_per_row,
    rows=config.steps * config.batch,
  )

  # What is trained of it, and what that takes.
  frozen = freezing.NOTHING
  if not config.lora_rank:
    frozen = freezing.Frozen(tuple(config.frozen.names), config.frozen.blocks)
  freezing.check(decoder.abstract(shape), frozen)
  optimizer = optimizer_lib.make(config.optimizer, config.steps, frozen)
  tokens = sizes.tokens(config)
  logging.info(
    'Training: %s examples, %d steps of %d rows of %d tokens, %.2f M tokens, '
    '%s',
    ', '.join(f'{len(rows_)} {name}' for name, rows_ in chosen.items()),
    config.steps,
    config.batch + config.replay.batch,
    config.row_length,
    tokens / 1e6,
    sizes.text(config, shape),
  )
  if dry_run:
    return

  initial_hash = huggingface.weight_hash(config.initial)
  if computes:
    training_sets.require_target(
      config.initial,
      initial_hash,
      sets,
      f'config.vectors is {config.vectors!r}',
    )
  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    model, tokenizer = artefact.load(
      config.initial, mesh, shape.dtype, shape.parameter_dtype
    )
    model = decoder.with_config(model, remat=shape.remat)
    injection = injection_lib.make(
      config.injection,
      model,
      tokenizer.vector_id,
      config.injection_block,
      blocks,
      _projection(config, model, sets, blocks, mesh),
    )
    replayed = replay.rows(config, tokenizer)
    trained: decoder.Decoder | lora.Lora = model
    base = None
    if config.lora_rank:
      key = jax.random.key(config.seed)
      trained, base = (
        lora.initialize(
          model,
          config.lora_rank,
          key,
          mesh,
          config.lora_embedding,
          config.lora_scale,
        ),
        model,
      )

    # What is measured on validation people.
    watch = validation.Validation(
      sets,
      languages,
      explainer_lib.Explainer(
        model, tokenizer, injection, phrasings, config.chat
      ),
      workdir,
      config,
      {
        'records_digests': {
          name: explained.manifest['records_digest']
          for name, explained in sets.items()
        },
        'examples': {name: len(rows_) for name, rows_ in chosen.items()},
        'text_only': config.text_only,
        'initial': initial_hash,
        'seed': config.seed,
        'steps': config.steps,
      },
      base,
    )
    workdirs.begin(config, workdir)
    job = loop.Job(
      name='explainer',
      steps=config.steps,
      step=train_step.make_step(
        *(optimizer, injection, config.replay.weight),
        *(base, config.accumulate, site),
      ),
      batches=functools.partial(
        replay.mixed,
        functools.partial(pipeline.batches, rows, config.batch),
        replayed,
      ),
      tokens_per_step=tokens // config.steps,
      evaluate=watch,
      evaluate_every=config.evaluate_every,
      checkpoint_every=config.checkpoint_every,
      operations_per_step=flops.training(
        shape,
        config.batch + config.replay.batch,
        config.row_length,
        config.lora_rank,
        answers=config.batch * rows.most_answers
        + config.replay.batch * config.row_length,
      )
      + flops.blocks(shape, config.batch * rows.vectors, rows.origin_length),
      profile=loop.Profile(**config.profile),
      restore_from=config.restore_from,
      base=initial_hash if config.lora_rank else '',
    )
    start = train_step.Trained(trained, injection.parameters)
    _, notes = loop.train(job, state_lib.start(start, optimizer), workdir)
  files.write_json(files.path(workdir) / 'metrics.json', notes)


def _projection(
  config: ml_collections.ConfigDict,
  model: decoder.Decoder,
  sets: training_sets.Sets,
  blocks: layer_blocks.LayerBlocks,
  mesh: jax.sharding.Mesh,
) -> np.ndarray | None:
  """Where the projections of vectors start, f32[C, E, D], or None for none."""
  wanted = config.projection
  explained = next(iter(sets.values()))
  width = explained.vectors.shape[1]
  projection.check(wanted.start, width, model.config.width)
  match wanted.start:
    case 'none':
      return None
    case 'random':
      return projection.random(
        blocks.count, model.config.width, width, config.seed
      )
  if not config.target:
    raise errors.InputError(
      '--config.target is missing: expected the directory of the target, whose '
      'activations a ridge projection starts from'
    )
  training_sets.require_target(
    config.target,
    huggingface.weight_hash(config.target),
    sets,
    'a ridge projection starts from its activations',
  )
  target, tokenizer = artefact.load(config.target, mesh, config.dtype)
  if tokenizer.digest() != artefact.load_tokenizer(config.initial).digest():
    raise errors.InputError(
      f'{config.target} and {config.initial} have different tokenizers: '
      'expected one, a ridge projection compares activations on equal tokens'
    )
  tokens, present = replay.text(config, tokenizer, wanted.rows)
  return projection.ridge_start(
    target, model, tokens, present, blocks, wanted.penalty
  )


def _examples(
  name: str,
  config: ml_collections.ConfigDict,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
  tokenizer: tokenizer_lib.Tokenizer,
  layer_blocks_: layer_blocks.LayerBlocks,
  phrasings: tuple[str, ...],
  origins: Sequence[Sequence[origins_lib.Origin]] | None,
) -> pipeline.Examples:
  """Encodes the training examples of one task."""
  language = table.task(name).language
  rows = [explained.rows[i] for i in chosen]
  vectors = explained.vectors
  if config.text_only:
    vectors = np.broadcast_to(np.float32(0), vectors.shape)
  shown = [row['vectors'] for row in rows]
  layers = np.array([language.layers(row) for row in rows]).reshape(-1, 2)
  count = np.array([len(own) for own in shown])
  blocks = np.zeros(len(rows), np.int32)
  blocks[count > 0] = layer_blocks_.ids(layers[count > 0])
  return pipeline.Examples(
    task=name,
    questions=questions_lib.encode(
      rows, tokenizer, language, phrasings, config.chat
    ),
    vectors=vectors,
    shown=shown,
    most=explained.most,
    blocks=blocks,
    weight=config.task_weights[name],
    origins=origins,
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/explainer.py')
