# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Stages that studies need besides the binaries: derived models and sets."""

import ml_collections

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.models import huggingface_config
from selfexplain_jax.models import rotation
from selfexplain_jax.tasks import table


def rotate(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Writes a model in other coordinates as WORKDIR/model, unless it is there.

  Args:
    config: `source`, the model's directory; `seed`, of the rotation; `turn`,
      whether there is one: without it the model is merely put into the form
      that a rotated one has.
    workdir: gets the model.
  """
  place = files.path(workdir) / 'model'
  if not (place / huggingface_config.FILE).exists():
    seed = config.seed if config.turn else None
    rotation.rotate_directory(config.source, place, seed)


def subset(config: ml_collections.ConfigDict, workdir: str) -> None:
  """Writes an explanation set of fewer training records, unless it is there.

  Those are kept that an explainer trained on so many examples learns from, the
  first; the other splits stay as they are. Baselines that learn from all
  training records of a set are so put beside it.

  Args:
    config: `source`, the set's directory, and `examples`, how many training
      records are kept.
    workdir: gets the set.

  Raises:
    errors.InputError: if the set has fewer of them.
  """
  if (files.path(workdir) / 'manifest.json').exists():
    return
  source = explanations.read(config.source)
  train = source.split('train')
  if not 1 <= config.examples <= len(train):
    raise errors.InputError(
      f'{config.source} has {len(train)} training records: expected at least '
      f'{config.examples}, and to keep at least 1'
    )
  dropped = set(train[config.examples :].tolist())
  explanations.write(
    workdir,
    [row for i, row in enumerate(source.rows) if i not in dropped],
    table.task(source.manifest['task']).language.SCHEMA,
    source.vectors,
    {**source.manifest, 'subset': config.examples},
    source.documents,
  )
