# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Multiplies matrices in float32: what a processor can do, and our way.

  python -m experiments.benchmarks.products FOLDER NAME

is our side of the contest (see `contestant`), XLA's; what a contest takes in
operations is told by its rate.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import contestant

_SIZE, _TIMES = 2048, 20


def write(folder: pathlib.Path) -> None:
  """Writes two random matrices."""
  random = np.random.default_rng(0)
  left, right = random.normal(size=(2, _SIZE, _SIZE)).astype(np.float32)
  np.savez(
    folder / 'asked.npz',
    allow_pickle=False,
    left=left,
    right=right,
    times=np.array(_TIMES),
  )


def different(ours: contestant.Arrays, theirs: contestant.Arrays) -> int:
  """How many rows of the product are not equal to 1e-4 of their greatest."""
  return contestant.unequal_rows(ours['made'], theirs['made'], 1e-4)


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the product, several times."""
  del name
  jax.config.update('jax_default_matmul_precision', 'float32')
  asked = contestant.read(folder)
  left, right = jnp.asarray(asked['left']), jnp.asarray(asked['right'])
  times = int(asked['times'])
  multiply = jax.jit(jnp.matmul)

  def run() -> np.ndarray:
    for _ in range(times):
      made = jax.block_until_ready(multiply(left, right))
    return np.asarray(made)

  count = np.array(2 * times * len(left) ** 3 / 1e9)
  return contestant.Contestant(run, lambda made: {'count': count, 'made': made})


if __name__ == '__main__':
  contestant.serve(prepare, 'jax jaxlib')
