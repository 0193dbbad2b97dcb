# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""PyTorch in a contest of matrix products.

PEERS_PYTHON -m experiments.benchmarks.peers.products FOLDER NAME
"""

import pathlib

import numpy as np
import torch

from experiments.benchmarks import contestant


def prepare(folder: pathlib.Path, name: str) -> contestant.Contestant:
  """Returns the product, several times."""
  del name
  asked = contestant.read(folder)
  left, right = (torch.tensor(asked[side]) for side in ('left', 'right'))
  times = int(asked['times'])

  def run() -> np.ndarray:
    for _ in range(times):
      made = left @ right
    return made.numpy()

  count = np.array(2 * times * len(left) ** 3 / 1e9)
  return contestant.Contestant(run, lambda made: {'count': count, 'made': made})


if __name__ == '__main__':
  contestant.serve(prepare, 'torch')
