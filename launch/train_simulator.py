# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trains a simulator, which says where descriptions of features hold.

It is a language model that reads what a feature is about, then a document, and
says at each token of it how active the feature is.

Writes WORKDIR/model, a model's directory with `simulator.json`, and
WORKDIR/metrics.json, which says how well it predicts features of the validation
split from their labels and from those of others.
"""

import functools
from typing import Any

from absl import logging
import jax
import ml_collections
import numpy as np

from launch import cli
from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.activations import reader
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.fidelity import firing as firing_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import flops
from selfexplain_jax.models import huggingface
from selfexplain_jax.simulators import conventions
from selfexplain_jax.simulators import trained
from selfexplain_jax.simulators import training
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.training import loop
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib

_SPLITS = ('train', 'validation')


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Trains and writes the simulator, unless the workdir holds it already."""
  cli.require(config, 'target', 'explanations', 'store', 'initial')
  cli.require_least(
    config,
    seed=0,
    examples=0,
    validation_examples=1,
    length=2,
    steps=1,
    batch=1,
    evaluate_every=1,
    checkpoint_every=1,
  )
  cli.require_dtype(config)
  loop.check_restore(config.restore_from)
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  # What it learns from: labelled features, and documents.
  explained = _read(config)
  chosen = {
    split: _labelled(explained, split)[: most or None]
    for split, most in zip(
      _SPLITS, (config.examples, config.validation_examples), strict=True
    )
  }
  documents = _documents(config, explained)
  shape = huggingface.read_config(config.initial)
  tokens = config.steps * config.batch * config.length
  logging.info(
    'Training: %s features, %d documents, %d steps of %d rows of at least %d '
    'tokens, %.2f M tokens, roughly %.1f minutes',
    ', '.join(f'{len(rows)} {split}' for split, rows in chosen.items()),
    len(documents),
    config.steps,
    config.batch,
    config.length,
    tokens / 1e6,
    estimate.minutes(
      estimate.training(shape.weights, tokens),
      mesh_lib.plan_mesh(**config.mesh),
    ),
  )
  if dry_run:
    return
  workdirs.begin(config, workdir)

  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    # What the features do there.
    seen = _observe(config, explained, chosen, documents, mesh)
    said = {
      split: [' '.join(explained.rows[i]['answer'].split()) for i in rows]
      for split, rows in chosen.items()
    }

    # The step, and what is measured on features of the validation split.
    model, tokenizer = artefact.load(config.initial, mesh)
    convention = conventions.convention(conventions.PLAIN)
    convention.check(tokenizer, model.config.vocabulary)
    learnt = training.examples(
      convention,
      tokenizer,
      said['train'],
      seen['train'],
      documents,
      config.seed,
    )

    def watch(step: int, state: Any, notes: dict[str, Any]) -> dict[str, Any]:
      simulates = trained.TrainedSimulator(
        state.model, convention, tokenizer, documents, {}
      )
      found = training.correlations(
        simulates, said['validation'], seen['validation']
      )
      logging.info('Validation at step %d: %s', step, found)
      return {'curve': [*notes.get('curve', []), {'step': step, **found}]}

    optimizer = optimizer_lib.make(config.optimizer, config.steps)
    job = loop.Job(
      name='simulator',
      steps=config.steps,
      step=training.make_step(optimizer, convention.level_ids),
      batches=functools.partial(
        training.batches, learnt, config.batch, config.steps
      ),
      tokens_per_step=config.batch * learnt.length,
      evaluate=watch,
      evaluate_every=config.evaluate_every,
      checkpoint_every=config.checkpoint_every,
      operations_per_step=flops.training(
        model.config, config.batch, learnt.length
      ),
      profile=loop.Profile(**config.profile),
      restore_from=config.restore_from,
    )
    state, notes = loop.train(job, state_lib.start(model, optimizer), workdir)
  trained.save(
    state.model,
    tokenizer,
    files.path(workdir) / 'model',
    {
      'records_digest': explained.manifest['records_digest'],
      'target': explained.manifest['target']['weight_hash'],
      'initial': huggingface.weight_hash(config.initial),
      'features': len(learnt.descriptions),
      'seed': config.seed,
      'steps': config.steps,
    },
  )
  files.write_json(files.path(workdir) / 'metrics.json', notes)


def _read(config: ml_collections.ConfigDict) -> explanations.ExplanationSet:
  """Reads the set and checks that all else belongs to it."""
  explained = explanations.read(config.explanations)
  task, target = explained.manifest['task'], explained.manifest['target']
  if task != features.NAME:
    raise errors.InputError(
      f'{config.explanations} is a set of task {task!r}: expected '
      f'{features.NAME!r}, whose labels a simulator learns from'
    )
  if huggingface.weight_hash(config.target) != target['weight_hash']:
    raise errors.InputError(
      f'{config.explanations} explains another model than {config.target}: '
      f'expected weight_hash {target["weight_hash"][:12]}…'
    )
  tokenizer_hash = artefact.load_tokenizer(config.initial).digest()
  if tokenizer_hash != target['tokenizer_hash']:
    raise errors.InputError(
      f'{config.initial} has another tokenizer than the target: expected the '
      'same, a simulator reads the tokens that the target reads'
    )
  return explained


def _labelled(explained: explanations.ExplanationSet, split: str) -> np.ndarray:
  """Returns the records of a split that have a label."""
  rows = explained.split(split)
  found = np.array([i for i in rows if explained.rows[i]['answer']], int)
  if not len(found):
    raise errors.InputError(
      f'the explanation set has no labelled features of split {split}: '
      'expected some'
    )
  return found


def _documents(
  config: ml_collections.ConfigDict, explained: explanations.ExplanationSet
) -> np.ndarray:
  """Returns the beginnings of the store's documents, i32[M, T]."""
  theirs = reader.open_store(config.store).manifest.spec.tokenizer_hash
  if theirs != explained.manifest['target']['tokenizer_hash']:
    raise errors.InputError(
      f'{config.store} was read with another tokenizer than the target: '
      'expected a store of its documents'
    )
  ids = prompts_lib.read(config.store).ids
  found = [row[: config.length] for row in ids if len(row) >= config.length]
  if not found:
    raise errors.InputError(
      f'{config.store} has no document of {config.length} tokens: expected '
      'some, or a smaller config.length'
    )
  return np.array(found, np.int32)


def _observe(
  config: ml_collections.ConfigDict,
  explained: explanations.ExplanationSet,
  chosen: dict[str, np.ndarray],
  documents: np.ndarray,
  mesh: jax.sharding.Mesh,
) -> dict[str, firing_lib.Firing]:
  """Returns what the features of each split do on the documents."""
  target = target_lib.open_target(config.target, mesh, config.dtype)
  dictionary = dictionaries.of_set(
    explained.manifest['notes']['dictionary'],
    config.dictionary,
    lambda: target.weight_hash,
    target.config,
  )
  return {
    split: firing_lib.observe(
      target.model,
      dictionary,
      [explained.rows[i] for i in rows],
      explained.shown(rows)[:, 0],
      documents,
      config.seed,
    )
    for split, rows in chosen.items()
  }


if __name__ == '__main__':
  cli.launch(run, config='experiments/features/simulator.py')
