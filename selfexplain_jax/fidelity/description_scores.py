# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Every score of descriptions, on the documents chosen for each vector."""

from collections.abc import Sequence
import zlib

import numpy as np

from selfexplain_jax.fidelity import detection
from selfexplain_jax.fidelity import firing as firing_lib
from selfexplain_jax.fidelity import similarity
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import simulator


def score(
  said: Sequence[str | None],
  labels: Sequence[str | None],
  firing: firing_lib.Firing,
  simulates: simulation.Simulator,
  names: Sequence[str],
  seed: int,
  similar: similarity.Similarity = similarity.word_cosine,
) -> dict[str, np.ndarray]:
  """Scores one description of each of N vectors.

  Args:
    said: the descriptions, None for no words.
    labels: what is right, None where nobody knows.
    firing: what the vectors do.
    simulates: says what descriptions predict on all documents.
    names: of the vectors; what is drawn for one depends on its name and the
      seed alone.
    seed: of the draws.
    similar: compares a description with a label.

  Returns:
    f64[N] by measure. What means nothing predicts nothing: correlations are 0,
    accuracies at chance. NaN where a vector has nothing to tell apart.
  """
  # Without BOS: no description is about it.
  real = firing.activations[:, :, 1:]
  predicted = np.zeros(real.shape, np.float32)
  valid = np.zeros(len(said))
  for n, text in enumerate(said):
    held = None if text is None else simulates.simulate(text)
    if held is not None:
      valid[n] = 1
      predicted[n] = held[firing.documents[n], 1:]
  return {
    'simulator': simulator.pooled(real, predicted),
    'simulator_per_sequence': simulator.per_sequence(real, predicted),
    'detection': detection.detection_accuracy(real, predicted),
    'fuzzing': detection.fuzzing_accuracy(
      real, predicted, [zlib.crc32(name.encode()) for name in names], seed
    ),
    'similarity': similar(
      [text or '' for text in said], [text or '' for text in labels]
    ),
    'valid_rate': valid,
  }
