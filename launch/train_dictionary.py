# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Trains sparse autoencoders on an activation store, one for each layer.

Writes WORKDIR/dictionaries, a directory of SAELens for each layer, and
WORKDIR/metrics.json, which says how they do on documents that are held out.
WORKDIR/corpus.json is the store's.
"""

import functools

from absl import logging
import jax
import ml_collections
import numpy as np
import optax

from launch import cli
from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.activations import reader
from selfexplain_jax.data import corpus_notes
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import evaluation
from selfexplain_jax.dictionary import rows as rows_lib
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import training
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.training import loop
from selfexplain_jax.training import optimizer as optimizer_lib

# In float32 the weight, its gradient and the two means of Adam.
_BYTES_PER_WEIGHT = 16

# Fields of the config that are settings of the training of a dictionary.
_SETTINGS = (
  *('features', 'kind', 'k', 'dead_after', 'auxiliary_k', 'auxiliary_weight'),
  'threshold_rate',
)


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Trains and writes dictionaries, unless the workdir holds them already."""
  cli.require(config, 'target', 'store')
  cli.require_least(
    config,
    seed=0,
    features=1,
    k=1,
    dead_after=1,
    auxiliary_k=1,
    auxiliary_weight=0,
    steps=1,
    batch=1,
    window_rows=1,
    checkpoint_every=1,
  )
  loop.check_restore(config.restore_from)
  cli.require_least(config.evaluation, documents=0, batch=1)
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  # What they learn from: rows of documents of the training split.
  settings = training.Settings(**{name: config[name] for name in _SETTINGS})
  store = reader.open_store(config.store)
  layers = _layers(config, store)
  prompts = prompts_lib.read(config.store)
  corpus = corpus_notes.read(config.store)
  corpus_notes.refuse_other(corpus, workdir)
  rows = rows_lib.ShuffledRows(
    store,
    config.site,
    layers,
    _chosen(store, prompts),
    seed=config.seed,
    window_rows=config.window_rows,
  )
  documents = _held_out(config, prompts)
  shape = huggingface.read_config(config.target)
  read = documents.tokens.size * (1 + 2 * len(layers))
  weights = 2 * len(layers) * store.manifest.spec.width * config.features
  logging.info(
    'Training: %d rows, %d steps of %d rows of %d layers, %d features each, '
    '%.2f M weights in all, with gradients and optimizer %s; %d documents to '
    'measure on; roughly %.1f minutes',
    rows.rows,
    config.steps,
    config.batch,
    len(layers),
    config.features,
    weights / 1e6,
    estimate.gigabytes(_BYTES_PER_WEIGHT * weights),
    len(documents.tokens),
    estimate.minutes(
      estimate.training(weights, config.steps * config.batch)
      + estimate.forward(shape.weights, read),
      mesh_lib.plan_mesh(**config.mesh),
    ),
  )
  if dry_run:
    return
  weight_hash = _check_target(config, store)
  mesh = mesh_lib.make_mesh(**config.mesh)
  workdirs.begin(config, workdir)
  corpus_notes.write(corpus, workdir)

  # The step, under the mesh.
  with jax.set_mesh(mesh):
    optimizer = optax.adam(
      optimizer_lib.schedule(config.optimizer, config.steps)
    )
    job = loop.Job(
      name='dictionary',
      steps=config.steps,
      step=training.make_step(optimizer, settings),
      batches=functools.partial(
        rows_lib.batches, rows, config.batch, config.steps
      ),
      tokens_per_step=config.batch,
      evaluate=lambda step, state, notes: notes,
      evaluate_every=config.steps,
      checkpoint_every=config.checkpoint_every,
      # A forward and a backward pass, without what dead features take.
      operations_per_step=6 * weights * config.batch,
      profile=loop.Profile(**config.profile),
      restore_from=config.restore_from,
    )
    start = training.start(
      next(rows.windows(0)), settings, optimizer, jax.random.key(config.seed)
    )
    state, _ = loop.train(job, start, workdir)

    # What they are worth.
    made = {layer: training.export(state, i) for i, layer in enumerate(layers)}
    # In the dtype that the rows were made in.
    model, _ = artefact.load(config.target, mesh, store.manifest.spec.dtype)
    figures = evaluation.evaluate(
      model, made, config.site, documents, config.evaluation.batch
    )
  for layer, sae in made.items():
    logging.info('Layer %d: %s', layer, figures[layer])
    saelens.save(
      sae,
      saelens.folder(workdir, config.site, layer),
      {
        'hook_name': saelens.hook_name(config.site, layer),
        'model_name': store.manifest.spec.target,
      },
    )
  files.write_json(
    files.path(workdir) / 'metrics.json',
    {
      'site': config.site,
      'target': weight_hash,
      'documents': len(documents.tokens),
      'layers': {str(layer): found for layer, found in figures.items()},
    },
  )


def _layers(
  config: ml_collections.ConfigDict, store: reader.Store
) -> tuple[int, ...]:
  """Returns the layers to train on, which the store must have."""
  spec = store.manifest.spec
  if config.site not in spec.layered:
    raise errors.InputError(
      f'config.site is {config.site!r}: expected a site with layers that '
      f'{config.store} has, of {", ".join(spec.layered) or "which it has none"}'
    )
  layers = tuple(config.layers) or spec.layers
  for layer in layers:
    if layer not in spec.layers or layers.count(layer) > 1:
      raise errors.InputError(
        f'config.layers is {layers}: expected some of {spec.layers}, those of '
        f'{config.store}, each once'
      )
  return layers


def _check_target(
  config: ml_collections.ConfigDict, store: reader.Store
) -> str:
  """Returns the target's weight hash, which must be the store's."""
  weight_hash = huggingface.weight_hash(config.target)
  theirs = store.manifest.spec.weight_hash
  if weight_hash != theirs:
    raise errors.InputError(
      f'{config.store} holds activations of another model: expected those of '
      f'{config.target}, weight_hash {weight_hash[:12]}…, not {theirs[:12]}…'
    )
  return weight_hash


def _chosen(store: reader.Store, prompts: prompts_lib.Prompts) -> np.ndarray:
  """Which rows are of the training split and not BOS, bool[R]."""
  training_N = np.array([split == 'train' for split in prompts.split])
  documents_R = store.read('document', 0, store.rows)
  chosen_R = training_N[documents_R]
  chosen_R &= store.read('position', 0, store.rows) > 0
  if not chosen_R.any():
    raise errors.InputError(
      'the store has no rows of the training split: expected some, a '
      'dictionary learns from them'
    )
  return chosen_R


def _held_out(
  config: ml_collections.ConfigDict, prompts: prompts_lib.Prompts
) -> evaluation.Documents:
  """Returns the validation split of a store's prompts, or the first of it."""
  index = [i for i, s in enumerate(prompts.split) if s == 'validation']
  index = index[: config.evaluation.documents or None]
  if not index:
    raise errors.InputError(
      f'{config.store} has no prompts of the validation split: expected some, '
      'dictionaries are measured on them'
    )
  tokens, length = prompts_lib.pad([prompts.ids[i] for i in index])
  weights = (np.arange(tokens.shape[1]) < length[:, None]).astype(np.float32)
  if prompts.weights is not None:  # Losses weigh as in pretraining.
    for weight, i in zip(weights, index, strict=True):
      weight[: len(prompts.weights[i])] = prompts.weights[i]
  return evaluation.Documents(tokens, length, weights)


if __name__ == '__main__':
  cli.launch(run, config='experiments/features/dictionary.py')
