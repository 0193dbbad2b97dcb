# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Measures dictionaries on text and compares them with published figures.

Writes WORKDIR/metrics.json: by layer the figures that train_dictionary gives
its own. Exits with 1 if they are not as expected.
"""

import functools
import sys

from absl import logging
import jax
import ml_collections

from launch import cli
from launch import workdirs
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.data import corpora
from selfexplain_jax.dictionary import dictionaries
from selfexplain_jax.dictionary import evaluation
from selfexplain_jax.dictionary import published_figures
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Measures the dictionaries, unless the workdir has their figures already."""
  cli.require(config, 'target', 'dictionary')
  cli.require_least(config, batch=1)
  cli.require_least(config.documents, start=0, count=1, length=2)
  cli.require_mesh(config, dry_run)
  name = files.path(workdir) / 'metrics.json'
  shape = huggingface.read_config(config.target)
  if not workdirs.finished(config, workdir, name.name):
    # What is measured, and on what.
    weight_hash = functools.partial(huggingface.weight_hash, config.target)
    found = dictionaries.load(config.dictionary, weight_hash, shape)
    published_figures.check_config(config.expected, found.layers)
    documents = _documents(config)
    logging.info(
      'Measuring: %d features of layers %s of %s, said to be of %s; %.2f M '
      'tokens; %.2f GB a dictionary; roughly %.1f minutes',
      *(found.features, found.layers, found.site),
      ', '.join(found.models) or 'no model',
      documents.tokens.size / 1e6,
      8 * shape.width * found.features / len(found.layers) / 1e9,
      estimate.minutes(
        _work(shape.weights, shape.width, found, documents),
        mesh_lib.plan_mesh(**config.mesh),
      ),
    )
    if dry_run:
      return

    # Their figures.
    workdirs.begin(config, workdir)
    note = {
      'site': found.site,
      'measured_on': weight_hash(),
      'models': found.models,
      'dictionary': found.digest,
      'documents': len(documents.tokens),
    }
    mesh = mesh_lib.make_mesh(**config.mesh)
    with jax.set_mesh(mesh):
      model, _ = artefact.load(config.target, mesh, config.dtype)
      figures = evaluation.evaluate(
        model, found.by_layer, found.site, documents, config.batch
      )
    note['layers'] = {str(layer): one for layer, one in figures.items()}
    files.write_json(name, note)

  # Whether they are as published.
  note = files.read_json(name, 'figures of dictionaries')
  by_layer = {int(layer): one for layer, one in note['layers'].items()}
  for layer, one in sorted(by_layer.items()):
    logging.info('Layer %d: %s', layer, one)
  wrong = published_figures.misses(by_layer, shape.width, config.expected)
  if wrong:
    sys.exit('\n'.join(wrong))


def _documents(config: ml_collections.ConfigDict) -> evaluation.Documents:
  """Reads documents that are all of one length."""
  tokenizer = artefact.load_tokenizer(config.target)
  if config.corpus.files:
    corpus = corpora.of_files(
      config.corpus.files, config.corpus.field, tokenizer
    )
  else:
    corpus = corpora.of_model(config.target, tokenizer)
  tokens, _ = corpora.whole(corpus, **config.documents)
  return evaluation.whole_documents(tokens)


def _work(
  weights: int,
  width: int,
  found: dictionaries.Dictionaries,
  documents: evaluation.Documents,
) -> float:
  """The operations: every layer is encoded and replaced, twice."""
  tokens = documents.tokens.size
  passes = 1 + 2 * len(found.layers)
  return estimate.forward(weights, passes * tokens) + estimate.forward(
    2 * width * found.features, 2 * tokens
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/features/published_dictionary.py')
