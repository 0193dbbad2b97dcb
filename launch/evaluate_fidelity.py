# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checks an explainer's claims by re-running the interventions on the target.

Writes metrics.json, predictions.parquet and report.html into WORKDIR.
"""

import dataclasses
import functools
import importlib.metadata

from absl import logging
import jax
import ml_collections
import numpy as np
from pyarrow import parquet

from launch import cli
from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.fidelity import arms as arms_lib
from selfexplain_jax.fidelity import asked as asked_lib
from selfexplain_jax.judges import judge
from selfexplain_jax.models import artefact
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.reports import html
from selfexplain_jax.reports import text
from selfexplain_jax.tasks import table
from selfexplain_jax.tasks import target as target_lib

_ANSWER = 13  # Tokens of an answer, about.
_VERSIONS = ('jax', 'jaxlib', 'flax', 'numpy')


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Evaluates, unless the workdir holds the figures already."""
  cli.require(config, 'target', 'explanations')
  cli.require_least(config, seed=0, examples=0)
  cli.require_dtype(config)
  judge.check(config.judge)
  explainers = {k: v for k, v in config.explainers.items() if v}
  if explainers:
    cli.require(config, 'explainers.self', 'initial')
  cli.require_mesh(config, dry_run)
  if workdirs.finished(config, workdir, 'metrics.json'):
    return

  explained = explanations.read(config.explanations)
  task = table.task(explained.manifest['task'])
  chosen = explained.split(config.split)[: config.examples or None]
  if not len(chosen):
    raise errors.InputError(
      f'{config.explanations} has no records of split {config.split!r}'
    )
  asked = asked_lib.Asked(
    task, explained, chosen, explained.split('train'), config.seed
  )
  # Who asks a model.
  asking = {*explainers, *arms_lib.OF_SELF} if explainers else set()
  if config.arms:
    asking &= {*config.arms}
  words = sum(
    len(task.language.question(row, task.language.PHRASINGS[0]).split())
    for row in asked.rows
  )
  tokens = len(asking) * 2 * (words + _ANSWER * len(chosen))
  shape = dataclasses.replace(
    huggingface.read_config(config.target),
    dtype=config.dtype,
    parameter_dtype=config.dtype,
  )
  planned = mesh_lib.plan_mesh(**config.mesh)
  taken = estimate.memory(decoder.abstract(shape), planned)
  estimate.require_room(taken.device, planned)
  logging.info(
    'Evaluating: %d records of split %s, explainers %s, %.2f M tokens, roughly '
    '%.1f minutes; a model of the size of the target takes %s, on each of %d '
    'devices %s, and at most two are held at a time',
    len(chosen),
    config.split,
    ', '.join(explainers) or 'none',
    tokens / 1e6,
    estimate.minutes(estimate.forward(shape.weights, tokens), planned),
    estimate.gigabytes(taken.total),
    planned.size,
    estimate.gigabytes(taken.device),
  )
  if dry_run:
    return
  inputs = _inputs(config, explained, explainers)
  out = files.path(workdir)

  mesh = mesh_lib.make_mesh(**config.mesh)
  # Each has weights of its own, which go with it.
  target = functools.partial(
    target_lib.open_target, config.target, mesh, config.dtype
  )
  with jax.set_mesh(mesh):
    # Who answers.
    arms = arms_lib.some(
      arms_lib.all_arms(
        asked, explainers, config.initial, target(), mesh, config.dtype
      ),
      config.arms,
    )

    # What the target really does.
    shown = task.evaluation.observe(target(), explained, chosen, config)
    workdirs.begin(config, workdir)

    # What every arm says.
    said = arms_lib.run(arms, out / 'answers', inputs)

  # How far the two agree.
  checked = task.evaluation.check(said, shown, explained, chosen, config.seed)
  figures = {
    'task': task.language.NAME,
    'target': inputs['target'],
    'split': config.split,
    'seed': config.seed,
    'dtype': config.dtype,
    # On another device the same recipe makes other weights.
    'versions': {
      **{v: importlib.metadata.version(v) for v in _VERSIONS},
      'device': jax.devices()[0].device_kind,
    },
    **checked.figures,
  }
  published = {
    name: explainer_lib.training(directory).get('published')
    for name, directory in explainers.items()
  }
  if any(published.values()):
    figures['published'] = {n: place for n, place in published.items() if place}
  leaks = explained.manifest.get('notes', {}).get('also_in_train', {})
  if config.split in leaks:
    figures['also_in_train'] = leaks[config.split]
  if asked.shows_vectors:
    figures['same_when_shuffled'] = asked.same_when_shuffled()
    figures['same_answer_when_shuffled'] = asked.same_answer_when_shuffled()
  for name, table_ in checked.tables.items():
    with files.writing(out / f'{name}.parquet') as kept:
      parquet.write_table(table_, kept)
  html.write(out, figures, checked.tables)
  files.write_json(out / 'metrics.json', figures)
  for line in text.table(figures).splitlines():
    logging.info('%s', line)


def _inputs(
  config: ml_collections.ConfigDict,
  explained: explanations.ExplanationSet,
  explainers: dict[str, str],
) -> dict[str, str]:
  """Returns digests of all that the figures depend on, once they fit together.

  Raises:
    errors.InputError: if the explanation set is of another model than the
      target, or an explainer of another set.
  """
  made_of = explained.manifest['target']
  found = {'target': huggingface.weight_hash(config.target)}
  if made_of['weight_hash'] != found['target']:
    raise errors.InputError(
      f'{config.explanations} explains another model than {config.target}: '
      f'expected weight_hash {found["target"][:12]}…'
    )
  if (
    made_of['tokenizer_hash'] != artefact.load_tokenizer(config.target).digest()
  ):
    raise errors.InputError(
      f'{config.explanations} was made with another tokenizer than that of '
      f'{config.target}'
    )
  digest = explained.manifest['records_digest']
  found |= {
    'explanation set': digest,
    'vectors': files.digest(explained.vectors.reshape(-1).view(np.uint8).data),
  }
  if config.initial:
    found['initial model'] = huggingface.weight_hash(config.initial)
  for name, directory in explainers.items():
    found[f'{name} explainer'] = explainer_lib.digest(directory)
    noted = explainer_lib.training(directory)
    if 'published' in noted:  # Their users have to know what they learnt from.
      continue
    if (
      noted.get('records_digests', {}).get(explained.manifest['task']) != digest
    ):
      raise errors.InputError(
        f'config.explainers.{name} is {directory}, trained on another '
        f'explanation set: expected one trained on {config.explanations}, so '
        'that it has not seen the questions that are asked'
      )
    if name == 'self' and noted.get('initial') != found['initial model']:
      raise errors.InputError(
        f'config.initial is {config.initial}: expected the model that '
        f'{directory} was trained from'
      )
  return found


if __name__ == '__main__':
  cli.launch(run, config='experiments/evaluation.py')
