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

_PROMPTS = 64
# Cells that those who run one at a time run, and their rate is told of.
_SOME = 192
# Margins below this may turn round, and may differ by as much.
_NARROW = 1e-3


def write(folder: pathlib.Path, model: str, length: int) -> None:
  """Writes a random model and the cells of a sweep.

  Lengths of prompts are drawn from three quarters of `length` to all of it.

  Args:
    folder: for `model/` and `asked.npz`.
    model: its name in `models`.
    length: tokens of the longest prompt.
  """
  made = models.write(folder, model)
  config = made.config
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
  }
  plan = effects.plan(made, _cells(asked), compiling=0.0)
  (part,) = plan.parts
  np.savez(
    folder / 'asked.npz',
    allow_pickle=False,
    begin=[batch.begin for batch in part.batches],
    width=[batch.width for batch in part.batches],
    batches=[batch.cells for batch in part.batches],
    **asked,
  )


def different(ours: contestant.Arrays, theirs: contestant.Arrays) -> int:
  """How many cells have another token, where that is clear, or margin."""
  cells = theirs['cells']
  token, margin = ours['token'][cells], ours['margin'][cells]
  wrong = (margin > _NARROW) & (theirs['token'] != token)
  wrong |= np.abs(theirs['margin'] - margin) > _NARROW
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
  """Returns the sweep as `effects.run_planned` does it."""
  del name
  mesh = mesh_lib.make_mesh()
  model = models.load(folder, mesh)
  cells = _cells(contestant.read(folder))

  def run() -> contestant.Arrays:
    with jax.set_mesh(mesh):
      # All programs are compiled in the first run.
      plan = effects.plan(model, cells, compiling=0.0)
      found = effects.run_planned(model, cells, plan)
    return {
      'count': np.array(len(cells)),
      'cells': np.arange(len(cells)),
      'token': found.token,
      'margin': found.margin,
      'planned_over_needed': np.array(plan.operations / plan.needed),
      'whole_over_planned': np.array(plan.whole / plan.operations),
      'operations': np.array(plan.operations / len(cells)),
    }

  return contestant.Contestant(run, lambda made: made)


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
