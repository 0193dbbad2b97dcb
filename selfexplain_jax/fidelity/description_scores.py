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
  simulated: simulation.Simulated | None,
  names: Sequence[str],
  seed: int,
  similar: similarity.Similarity,
) -> dict[str, np.ndarray]:
  """Scores one description of each of N vectors.

  Args:
    said: the descriptions, None for no words.
    labels: what is right, None where nobody knows.
    firing: what the vectors do.
    simulated: what they predict on the vectors' documents; None where nobody
      can tell.
    names: of the vectors; what is drawn for one depends on its name and the
      seed alone.
    seed: of the draws.
    similar: compares a description with a label.

  Returns:
    f64[N] by measure. What means nothing predicts nothing: correlations are 0,
    accuracies at chance. NaN where a vector has nothing to tell apart, or no
    label to compare with. Without predictions whatever is made of them is left
    out, and all words are taken to mean something.
  """
  valid = np.array([text is not None for text in said])
  scores = {}
  if simulated is not None:
    # Without BOS: no description is about it.
    real = firing.activations[:, :, 1:]
    predicted, active = (
      part[:, :, 1:] for part in (simulated.activations, simulated.active)
    )
    valid = simulated.valid
    scores = {
      'simulator': simulator.pooled(real, predicted),
      'simulator_per_sequence': simulator.per_sequence(real, predicted),
      'detection': detection.detection_accuracy(real, active),
      'fuzzing': detection.fuzzing_accuracy(
        real, active, [zlib.crc32(name.encode()) for name in names], seed
      ),
    }
  similar_N = np.full(len(said), np.nan)
  labelled = [n for n, label in enumerate(labels) if label is not None]
  similar_N[labelled] = similar(
    [said[n] or '' for n in labelled], [labels[n] or '' for n in labelled]
  )
  return {**scores, 'similarity': similar_N, 'valid_rate': valid.astype(float)}
