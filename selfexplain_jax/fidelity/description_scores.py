# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Every score of descriptions, on the sequences chosen for each vector.

As in method C.2 the sequences are those in which a vector is most active; beside
them stand as many drawn at random from the others, lest broad descriptions be
rewarded.
"""

from collections.abc import Sequence
import zlib

import numpy as np

from selfexplain_jax.fidelity import detection
from selfexplain_jax.fidelity import similarity
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.fidelity import simulator

_TOP = 10  # Sequences of either kind.


class Scorer:
  """Scores descriptions of N vectors."""

  def __init__(
    self,
    activations_NxSxT: np.ndarray,
    simulates: simulation.Simulator,
    names: Sequence[str],
    seed: int,
    similar: similarity.Similarity = similarity.word_cosine,
  ):
    """Chooses the sequences of each vector.

    Args:
      activations_NxSxT: what each vector does on all documents, BOS first.
      simulates: says what descriptions predict on them.
      names: of the vectors; what is drawn for one depends on its name and the
        seed alone.
      seed: of the draws.
      similar: compares a description with a label.
    """
    self._simulator, self._similar, self._seed = simulates, similar, seed
    self._names = [zlib.crc32(name.encode()) for name in names]
    self._sequences = np.stack(
      [
        _sequences(activations, name, seed)
        for activations, name in zip(
          activations_NxSxT, self._names, strict=True
        )
      ]
    )
    rows = np.arange(len(activations_NxSxT))[:, None]
    # BOS is the same everywhere, and no description is about it.
    self._real = activations_NxSxT[rows, self._sequences][:, :, 1:]

  def score(
    self, said: Sequence[str | None], labels: Sequence[str | None]
  ) -> dict[str, np.ndarray]:
    """Scores one description of each vector.

    Args:
      said: the descriptions, None for no words.
      labels: what is right, None where nobody knows.

    Returns:
      f64[N] by measure. What means nothing predicts nothing: correlations are
      0, accuracies at chance. NaN where a vector has nothing to tell apart.
    """
    predicted = np.zeros(self._real.shape, np.float32)
    valid = np.zeros(len(said))
    for n, text in enumerate(said):
      held = None if text is None else self._simulator.simulate(text)
      if held is not None:
        valid[n] = 1
        predicted[n] = held[self._sequences[n], 1:]
    return {
      'simulator': simulator.pooled(self._real, predicted),
      'simulator_per_sequence': simulator.per_sequence(self._real, predicted),
      'detection': detection.detection_accuracy(self._real, predicted),
      'fuzzing': detection.fuzzing_accuracy(
        self._real, predicted, self._names, self._seed
      ),
      'similarity': self._similar(
        [text or '' for text in said], [text or '' for text in labels]
      ),
      'valid_rate': valid,
    }


def _sequences(activations_SxT: np.ndarray, name: int, seed: int) -> np.ndarray:
  """Returns the most active sequences and as many others, i64[2 * top].

  Fewer documents than that are all taken.
  """
  order = np.argsort(-activations_SxT.max(1), kind='stable')
  top, rest = order[:_TOP], order[_TOP:]
  rng = np.random.default_rng([seed, zlib.crc32(b'sequences'), name])
  others = rng.permutation(rest)[:_TOP]
  return np.concatenate([top, others])
