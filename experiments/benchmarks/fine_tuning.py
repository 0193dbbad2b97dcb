# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Fine-tunes a model on answers to questions: what is to do, and our way.

  python -m experiments.benchmarks.fine_tuning FOLDER NAME

is our side of the contest (see `contestant`): the training step of explainers,
on packed rows that show no vectors.
"""

import functools
import pathlib
from typing import Any

import jax
import ml_collections
import numpy as np

from experiments.benchmarks import contestant
from experiments.benchmarks import models
from selfexplain_jax.data import pipeline
from selfexplain_jax.data import questions as questions_lib
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.explainer import train_step
from selfexplain_jax.models import decoder
from selfexplain_jax.models import lora
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib

_EXAMPLES = 192
# Tokens of the shortest and the longest example, and of their answers.
_LENGTHS, _ANSWERS = (40, 200), (10, 50)
# Examples whose loss and gradient both sides are compared in.
_COMPARED = 16
_RANK = 16
# Rows of a step, their tokens, and the tokens of each of as many examples as a
# row has room for.
_ROWS, _CAPACITY, _EACH = 8, 256, 32
_BATCH = 16  # Examples of a step of the Trainer.


def write(folder: pathlib.Path, model: str, adapter: bool) -> None:
  """Writes a random model and random examples.

  Args:
    folder: for `model/` and `asked.npz`.
    model: its name in `models`.
    adapter: whether an adapter is trained; else all weights are.
  """
  asked = ask(models.write(folder, model), adapter)
  np.savez(folder / 'asked.npz', allow_pickle=False, **asked)


def ask(
  model: decoder.Decoder, adapter: bool, examples: int = _EXAMPLES
) -> contestant.Arrays:
  """Returns random examples; see `write`."""
  random = np.random.default_rng(0)
  lengths = random.integers(_LENGTHS[0], _LENGTHS[1] + 1, examples)
  shape = (examples, _LENGTHS[1])
  return {
    # All but the last, which stands for vectors.
    'tokens': random.integers(2, model.config.vocabulary - 1, shape),
    'length': lengths,
    # Not all of an example: its question has at least one token.
    'answer': np.minimum(
      random.integers(_ANSWERS[0], _ANSWERS[1] + 1, examples), lengths - 1
    ),
    'rank': np.array(_RANK if adapter else 0),
    'rows': np.array(_ROWS),
    'capacity': np.array(_CAPACITY),
    'batch': np.array(_BATCH),
    'compared': np.array(_COMPARED),
  }


def different(
  ours: contestant.Arrays, theirs: contestant.Arrays, share: float = 1e-4
) -> int:
  """How many of loss and gradient norm, before training, are not equal.

  Those of the factors of an adapter are not compared: they start at random.
  """
  return sum(
    not np.allclose(ours[name], theirs[name], rtol=share)
    for name in ('loss', 'gradient_norm')
    if name in ours and name in theirs
  )


def _source(
  asked: contestant.Arrays,
  chosen: np.ndarray,
  rows: int,
  per_row: int | None = None,
) -> pipeline.PackedRows:
  """Packs examples as those of a task without vectors."""
  questions, answers = list[Any](), list[Any]()
  for index in chosen:
    ids = asked['tokens'][index, : asked['length'][index]].tolist()
    start = len(ids) - int(asked['answer'][index])
    questions.append([ids[:start]])
    answers.append(ids[start:])
  examples = pipeline.Examples(
    task='answers',
    questions=questions_lib.Questions(questions, answers),
    vectors=np.zeros((1, 1), np.float32),
    shown=[[]] * len(chosen),
    most=1,
    blocks=np.zeros(len(chosen), np.int32),
    weight=1.0,
  )
  capacity = int(asked['capacity'])
  return pipeline.PackedRows(
    [examples],
    seed=0,
    capacity=capacity,
    per_row=per_row or capacity // _EACH,
    rows=rows,
  )


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the training of the model in a folder."""
  del name
  mesh = mesh_lib.make_mesh()
  with jax.set_mesh(mesh):
    model = models.load(folder, mesh)
  return compete(model, contestant.read(folder), mesh)


def compete(
  model: decoder.Decoder, asked: contestant.Arrays, mesh: jax.sharding.Mesh
) -> contestant.Contestant:
  """Returns the training of an explainer for as long as an epoch takes."""
  every = np.arange(len(asked['length']))
  rank, each = int(asked['rank']), int(asked['rows'])
  with jax.set_mesh(mesh):
    vector_id = model.config.vocabulary - 1
    injection = injection_lib.make('add_norm_matched', model, vector_id)
    source = _source(asked, every, each)
    # Rows of one epoch, and what fills the last batch up.
    rows, left = 0, int(np.sum(asked['answer']))
    while left:
      left -= int(np.sum(source[rows]['answers'] >= 0))
      rows += 1
    rows += -rows % each
    source = _source(asked, every, rows)
    trained: Any = model
    base = None
    if rank:
      key = jax.random.key(1)
      trained, base = lora.initialize(model, rank, key, mesh, False), model
    start = train_step.Trained(trained, injection.parameters)
    # Before anything is donated.
    few = int(asked['compared'])
    (batch,) = pipeline.batches(_source(asked, every[:few], few, 1), few, 0)
    # A new adapter changes nothing.
    loss = functools.partial(train_step.answer_loss, batch=batch)
    compared = {'loss': float(jax.jit(loss)(model, injection))}
    if not rank:
      gradient = jax.jit(jax.grad(loss))(model, injection)
      compared['gradient_norm'] = float(
        np.sqrt(sum(np.sum(np.square(g)) for g in jax.tree.leaves(gradient)))
      )
    config = ml_collections.ConfigDict(
      dict(
        kind='adamw',
        schedule='constant',
        peak_rate=1e-5,
        warmup=0,
        weight_decay=0.0,
        clip_norm=1.0,
      )
    )
    optimizer = optimizer_lib.make(config, 1000)
    step = train_step.make_step(optimizer, injection, 0.0, base)
    state = [state_lib.start(start, optimizer)]

  def run() -> int:
    answers = 0
    with jax.set_mesh(mesh):
      for batch in pipeline.batches(source, each, 0):
        state[0], metrics = step(state[0], batch)
        answers += int(np.sum(np.asarray(batch['answers']) >= 0))
      jax.block_until_ready((state[0], metrics))
    return answers

  def results(answers: int) -> contestant.Arrays:
    found = {'count': answers, **compared}
    return {key: np.array(value) for key, value in found.items()}

  return contestant.Contestant(run, results)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
