# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Patches all layers and positions of prompts: what is to do, and our way.

  python -m experiments.benchmarks.patch_sweep FOLDER NAME

is our side of the contest (see `contestant`).
"""

import pathlib

import jax
import numpy as np

from experiments.benchmarks import contestant
from experiments.benchmarks import models
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interventions import effects
from selfexplain_jax.models import decoder

_PROMPTS = 64
# Cells that those who run one at a time run, and their rate is told of.
_SOME = 192
# Margins below this may turn round, and may differ by as much.
_NARROW = 1e-3


def write(folder: pathlib.Path, model: str, length: int) -> None:
  """Writes a random model and the cells of a sweep.

  Args:
    folder: for `model/` and `asked.npz`.
    model: its name in `models`.
    length: tokens of the longest prompt.
  """
  asked = ask(models.write(folder, model), length)
  np.savez(folder / 'asked.npz', allow_pickle=False, **asked)


def ask(
  model: decoder.Decoder, length: int, compiling: float = 0.0
) -> contestant.Arrays:
  """Returns the cells of a sweep, and the plan for them.

  Lengths of prompts are drawn from three quarters of `length` to all of it.

  Args:
    model: whose layers are patched.
    length: tokens of the longest prompt.
    compiling: operations that a program fewer is worth; all programs are
      compiled in the first run, which is not timed.
  """
  config = model.config
  random = np.random.default_rng(0)
  lengths = random.integers(length - length // 4, length + 1, _PROMPTS)
  cells = np.array(
    [
      (prompt, layer, position)
      for prompt in range(_PROMPTS)
      for layer in range(config.layers)
      for position in range(lengths[prompt])
    ],
    np.int32,
  )
  asked: contestant.Arrays = {
    'tokens': random.integers(2, config.vocabulary, (_PROMPTS, length)),
    'length': lengths,
    'prompt': cells[:, 0],
    'layer': cells[:, 1],
    'position': cells[:, 2],
    'vector': random.normal(size=(len(cells), config.width)).astype(np.float32),
    'some': random.permutation(len(cells))[:_SOME],
    'compiling': np.array(compiling),
  }
  plan = effects.plan(model, _cells(asked), compiling=compiling)
  (part,) = plan.parts
  return asked | {
    'begin': np.array([batch.begin for batch in part.batches]),
    'width': np.array([batch.width for batch in part.batches]),
    'batches': np.array([batch.cells for batch in part.batches]),
  }


def different(
  ours: contestant.Arrays, theirs: contestant.Arrays, narrow: float = _NARROW
) -> int:
  """How many cells have another token, where that is clear, or margin."""
  cells = theirs['cells']
  token, margin = ours['token'][cells], ours['margin'][cells]
  wrong = (margin > narrow) & (theirs['token'] != token)
  wrong |= np.abs(theirs['margin'] - margin) > narrow
  return int(np.sum(wrong))


def _cells(asked: contestant.Arrays) -> effects.Cells:
  prompt = asked['prompt']
  return effects.Cells(
    tokens=asked['tokens'][prompt].astype(np.int32),
    length=asked['length'][prompt].astype(np.int32),
    first=asked['layer'],
    last=asked['layer'],
    position=asked['position'],
    vector=asked['vector'],
    site='resid_post',
  )


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the sweep of the model in a folder."""
  del name
  mesh = mesh_lib.make_mesh()
  return compete(models.load(folder, mesh), contestant.read(folder), mesh)


def compete(
  model: decoder.Decoder, asked: contestant.Arrays, mesh: jax.sharding.Mesh
) -> contestant.Contestant:
  """Returns the sweep as `effects.run_planned` does it."""
  cells = _cells(asked)

  def run() -> contestant.Arrays:
    with jax.set_mesh(mesh):
      plan = effects.plan(model, cells, compiling=float(asked['compiling']))
      found = effects.run_planned(model, cells, plan)
    return {
      'count': np.array(len(cells)),
      'cells': np.arange(len(cells)),
      'token': found.token,
      'margin': found.margin,
      'planned_over_needed': np.array(plan.operations / plan.needed),
      'whole_over_planned': np.array(plan.whole / plan.operations),
      'operations': np.array(plan.operations / len(cells)),
      'needed': np.array(plan.needed / len(cells)),
    }

  return contestant.Contestant(run, lambda made: made)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
