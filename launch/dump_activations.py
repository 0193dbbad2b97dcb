# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps a target's activations on its prompts into an activation store.

Writes WORKDIR/prompts.parquet, of documents WORKDIR/corpus.json, and, as
WORKDIR, the store.
"""

import dataclasses
from typing import Any

from absl import logging
import jax
import ml_collections
import numpy as np

from launch import cli
from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax.activations import documents
from selfexplain_jax.activations import dump
from selfexplain_jax.activations import layout
from selfexplain_jax.data import corpora
from selfexplain_jax.data import corpus_notes
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import samples
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import artefact
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import sites as sites_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib


@dataclasses.dataclass(frozen=True)
class _Read:
  """What the target is to read.

  Attributes:
    prompts: these; None for samples, which are only drawn once the work begins.
    count: number of prompts.
    kinds: rows of a prompt, at most.
    rows: rows of all prompts.
    tokens: tokens of all prompts.
    passes: tokens that the target runs on.
    note: of the corpus, if there is one.
  """

  prompts: prompts_lib.Prompts | None
  count: int
  kinds: int
  rows: int
  tokens: int
  passes: int
  note: dict[str, Any] | None = None


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Dumps the store, unless the workdir holds it already."""
  cli.require(config, 'target')
  cli.require_least(config, seed=0, prompts_per_shard=1)
  cli.require_dtype(config)
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'manifest.json'):
    return

  # What the target is to read.
  planned = mesh_lib.plan_mesh(**config.mesh)
  shape = dataclasses.replace(
    huggingface.read_config(config.target),
    dtype=config.dtype,
    parameter_dtype=config.dtype,
  )
  tokenizer = artefact.load_tokenizer(config.target)
  read = _read(config, shape, tokenizer)
  corpus_notes.refuse_other(read.note, workdir)

  # What will be written.
  layers = tuple(config.layers) or tuple(range(shape.layers))
  capture.build(shape, tuple(config.sites), layers, np.zeros((1, 1), np.int32))
  # Sizes do not depend on it, and it takes reading all weights.
  weight_hash = '' if dry_run else huggingface.weight_hash(config.target)
  plan = dump.Plan(
    spec=layout.StoreSpec(
      target=weight_hash[:12],
      weight_hash=weight_hash,
      tokenizer_hash=tokenizer.digest(),
      sites=tuple(config.sites),
      layers=layers,
      width=shape.width,
      dtype=config.dtype,
      rows_per_shard=config.prompts_per_shard * read.kinds,
      layered=tuple(s for s in config.sites if sites_lib.site(s).layered),
    ),
    rows=read.rows,
    prompts_per_shard=config.prompts_per_shard,
  )
  taken = estimate.memory(decoder.abstract(shape), planned)
  estimate.require_room(taken.device, planned)
  logging.info(
    'Dumping: %d prompts, %d tokens, %d rows of %d layers, %.3f GB, roughly '
    '%.1f minutes; the target takes %s on each of %d devices',
    read.count,
    read.tokens,
    plan.rows,
    len(layers),
    plan.gigabytes,
    estimate.minutes(estimate.forward(shape.weights, read.passes), planned),
    estimate.gigabytes(taken.device),
    planned.size,
  )
  if dry_run:
    return

  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    model, _ = artefact.load(config.target, mesh, config.dtype)
    prompts = read.prompts
    if prompts is None:
      prompts = samples.sample_prompts(
        model, tokenizer, seed=config.seed, **config.prompts.samples
      )
    workdirs.begin(config, workdir)
    corpus_notes.write(read.note, workdir)
    prompts_lib.write(prompts, workdir)
    dump.dump(model, prompts, plan, workdir)


def _read(
  config: ml_collections.ConfigDict,
  shape: config_lib.DecoderConfig,
  tokenizer: tokenizer_lib.Tokenizer,
) -> _Read:
  """Returns what the target is to read, and how much that is."""
  source = config.prompts.source
  match source:
    case 'biographies':
      world = corpora.of_model(config.target, tokenizer)
      return _whole(world.prompts(), None)
    case 'documents' | 'text':
      asked = cli.field(config, f'prompts.{source}')
      cli.require_least(asked, start=0, count=1, length=2)
      _check_length(config, shape.max_positions)
      corpus = (
        corpora.of_model(config.target, tokenizer)
        if source == 'documents'
        else corpora.of_files(asked.files, asked.field, tokenizer)
      )
      prompts = documents.documents(
        corpus,
        tokenizer,
        start=asked.start,
        count=asked.count,
        length=asked.length,
      )
      if not dump.rows(prompts):
        raise errors.InputError(
          f'{corpus.name} has {asked.count} documents of one token from '
          f'document {asked.start} on: expected longer ones, the first token '
          'is not dumped'
        )
      note = corpus_notes.make(
        corpus.note(asked.start + asked.count), prompts.ids
      )
      return _whole(prompts, note)
    case 'samples':
      _check_length(config, shape.max_positions)
      asked = config.prompts.samples
      kinds = len(samples.POSITION_KINDS)
      tokens = asked.count * asked.length
      # Each token that is sampled takes a pass over the whole prompt.
      passes = tokens * asked.length
      return _Read(
        None, asked.count, kinds, asked.count * kinds, tokens, passes
      )
    case other:
      raise errors.InputError(
        f"config.prompts.source is {other!r}: expected 'biographies', "
        "'documents', 'text' or 'samples'"
      )


def _whole(prompts: prompts_lib.Prompts, note: dict[str, Any] | None) -> _Read:
  """Returns the sizes of prompts that are there already."""
  padded, lengths = prompts.padded()
  return _Read(
    prompts,
    count=len(prompts),
    kinds=len(prompts.positions) or padded.shape[1] - 1,
    rows=dump.rows(prompts),
    tokens=int(lengths.sum()),
    passes=padded.size,
    note=note,
  )


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
