# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Checks an explainer's claims by re-running the interventions on the target.

Writes metrics.json, predictions.parquet and report.html into WORKDIR.
"""

import io

from absl import logging
import jax
import ml_collections
import numpy as np
from pyarrow import parquet

from launch import cli
from selfexplain_jax import errors
from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import explainer as explainer_lib
from selfexplain_jax.fidelity import arms as arms_lib
from selfexplain_jax.fidelity import evaluation
from selfexplain_jax.fidelity import rerun as rerun_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.models import huggingface
from selfexplain_jax.reports import html

# Tokens of a question and its answer, about, besides those of its prompt.
_WORDS = 35


def run(
  config: ml_collections.ConfigDict, workdir: str, dry_run: bool = False
) -> None:
  """Evaluates, unless the workdir holds the figures already."""
  cli.require(config, 'target', 'explanations')
  cli.require_least(config, seed=0, examples=0)
  explainers = {k: v for k, v in config.explainers.items() if v}
  if explainers:
    cli.require(config, 'explainers.self', 'initial')
  if cli.finished(config, workdir, 'metrics.json'):
    return

  explained = explanations.read(config.explanations)
  weight_hash = huggingface.weight_hash(config.target)
  if explained.manifest['target']['weight_hash'] != weight_hash:
    raise errors.InputError(
      f'{config.explanations} explains another model than {config.target}: '
      f'expected weight_hash {weight_hash[:12]}…'
    )
  tokenizer_hash = artefact.load_tokenizer(config.target).digest()
  if explained.manifest['target']['tokenizer_hash'] != tokenizer_hash:
    raise errors.InputError(
      f'{config.explanations} was made with another tokenizer than that of '
      f'{config.target}'
    )
  digest = explained.manifest['records_digest']
  for name, directory in explainers.items():
    learnt = explainer_lib.training(directory).get('records_digest')
    if learnt != digest:
      raise errors.InputError(
        f'config.explainers.{name} is {directory}, trained on another '
        f'explanation set: expected one trained on {config.explanations}, so '
        'that it has not seen the people asked about'
      )
  inputs = {
    'explanation set': digest,
    'vectors': files.digest(explained.vectors.tobytes()),
    **{
      f'{name} explainer': huggingface.weight_hash(directory)
      for name, directory in explainers.items()
    },
  }
  if config.initial:
    inputs['initial model'] = huggingface.weight_hash(config.initial)
  chosen = explained.split(config.split)[: config.examples or None]
  if not len(chosen):
    raise errors.InputError(
      f'{config.explanations} has no records of split {config.split!r}'
    )
  # A question holds its prompt twice; three controls ask self again.
  arms_asked = len(explainers) + 3 if explainers else 0
  prompt_tokens = sum(len(explained.rows[i]['prompt_ids']) for i in chosen)
  tokens = arms_asked * (3 * prompt_tokens + _WORDS * len(chosen))
  weights = huggingface.read_config(config.target).weights
  logging.info(
    'Evaluating: %d records of split %s, explainers %s, %.2f M tokens, roughly '
    '%.1f minutes',
    len(chosen),
    config.split,
    ', '.join(explainers) or 'none',
    tokens / 1e6,
    estimate.minutes(estimate.forward(weights, tokens)),
  )
  if dry_run:
    return
  cli.begin(config, workdir)
  out = files.path(workdir)

  mesh = mesh_lib.make_mesh(**config.mesh)
  with jax.set_mesh(mesh):
    # What every arm says.
    asked = arms_lib.Asked(
      explained, chosen, explained.split('train'), config.seed
    )
    arms = arms_lib.all_arms(asked, explainers, config.initial, mesh)
    said = arms_lib.run(arms, out / 'answers', inputs)

    # What the target really does.
    target, tokenizer = artefact.load(config.target, mesh)
    shown = rerun_lib.rerun(target, tokenizer, explained, chosen)
  logging.info(
    'Re-run: %d of %d stored effects disagree', shown.disagreements, len(chosen)
  )

  # How far the two agree.
  table = evaluation.predictions(said, shown, explained, chosen, tokenizer)
  figures = {
    'task': explained.manifest['task'],
    'target': weight_hash,
    'split': config.split,
    'seed': config.seed,
    'versions': evaluation.versions(),
    'same_when_shuffled': asked.same_when_shuffled(),
    **evaluation.score(said, shown, explained, chosen, config.seed),
  }
  content = io.BytesIO()
  parquet.write_table(table, content)
  files.write_bytes(out / 'predictions.parquet', content.getvalue())
  html.write(out, figures, table)
  files.write_json(out / 'metrics.json', figures)
  for arm, scores in figures['rows'].items():
    logging.info('%-18s %s', arm, _line(scores))


def _line(scores: dict[str, dict[str, float]]) -> str:
  shown = ('exact_match', 'exact_match_changed', 'macro_f1', 'content_match')
  return ', '.join(
    f'{name} {np.nan if (v := scores[name]["value"]) is None else v:.3f}'
    for name in shown
  )


if __name__ == '__main__':
  cli.launch(run, config='experiments/patching/evaluation.py')
