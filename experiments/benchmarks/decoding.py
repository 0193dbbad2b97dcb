# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Answers questions greedily: what is to do, and our way.

  python -m experiments.benchmarks.decoding FOLDER NAME

is our side of the contest (see `contestant`): `answering.ask`, whose questions
show no vectors.
"""

import pathlib

import jax
import numpy as np

from experiments.benchmarks import contestant
from experiments.benchmarks import models
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.explainer import answering
from selfexplain_jax.explainer import injection as injection_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import flops

_QUESTIONS, _BATCH, _NEW = 256, 64, 32
_LENGTHS = (20, 100)
# A random model says one token of 32,000 hardly ever; with its logits so much
# greater, half of the answers end within ten tokens, and a third never do.
_END_ID, _LIKELY = 1, 5.0


def write(folder: pathlib.Path, model: str, ends: bool) -> None:
  """Writes a random model and random questions of unequal lengths.

  Args:
    folder: for `model/` and `asked.npz`.
    model: its name in `models`.
    ends: whether answers end, most of them, before they have to.
  """
  made = models.write(folder, model, _LIKELY if ends else 1.0)
  np.savez(folder / 'asked.npz', allow_pickle=False, **ask(made, ends))


def ask(model: decoder.Decoder, ends: bool) -> contestant.Arrays:
  """Returns random questions; see `write`."""
  random = np.random.default_rng(0)
  shape = (_QUESTIONS, _LENGTHS[1])
  return {
    # All but the last, which stands for vectors.
    'tokens': random.integers(2, model.config.vocabulary - 1, shape),
    'length': random.integers(_LENGTHS[0], _LENGTHS[1] + 1, _QUESTIONS),
    'batch': np.array(_BATCH),
    'new': np.array(_NEW),
    'end_id': np.array(_END_ID if ends else -1),
  }


def different(ours: contestant.Arrays, theirs: contestant.Arrays) -> int:
  """How many answers are not the same, token by token."""
  return int(np.sum(np.any(ours['answers'] != theirs['answers'], 1)))


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the answering by the model in a folder."""
  del name
  mesh = mesh_lib.make_mesh()
  with jax.set_mesh(mesh):
    model = models.load(folder, mesh)
  return compete(model, contestant.read(folder), mesh)


def compete(
  model: decoder.Decoder, asked: contestant.Arrays, mesh: jax.sharding.Mesh
) -> contestant.Contestant:
  """Returns the answering of all questions."""
  with jax.set_mesh(mesh):
    vector_id = model.config.vocabulary - 1
    injection = injection_lib.make('replace_embedding', model, vector_id)
  questions = [
    tokens[:length].tolist()
    for tokens, length in zip(asked['tokens'], asked['length'], strict=True)
  ]
  vectors = np.zeros((len(questions), 1, model.config.width), np.float32)

  def run() -> answering.Answers:
    with jax.set_mesh(mesh):
      return answering.ask(
        model,
        injection,
        questions,
        vectors,
        end_id=int(asked['end_id']),
        new_tokens=int(asked['new']),
        batch=int(asked['batch']),
      )

  def results(made: answering.Answers) -> contestant.Arrays:
    new, end = int(asked['new']), int(asked['end_id'])
    rows = [[*ids, *[end] * (new - len(ids))] for ids in made.ids]
    return {
      'count': np.array(len(rows)),
      'answers': np.array(rows),
      'operations': np.array(_operations(model.config, asked, made.ids)),
    }

  return contestant.Contestant(run, results)


def _operations(
  config: config_lib.DecoderConfig,
  asked: contestant.Arrays,
  answers: list[list[int]],
) -> float:
  """What an answer takes on average, in batches without padding."""
  total = 0.0
  for length, answer in zip(asked['length'].tolist(), answers, strict=True):
    # The end token is chosen, and not gone on from.
    chosen = min(len(answer) + 1, int(asked['new']))
    whole = flops.blocks(config, 1, length + chosen - 1)
    total += flops.prompts(config, 1, length)
    total += whole - flops.blocks(config, 1, length)
    total += flops.logits(config, chosen)
  return total / len(answers)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
