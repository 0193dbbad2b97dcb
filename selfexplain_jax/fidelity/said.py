# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What one arm of an evaluation said."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Said:
  """What one arm said to N questions.

  Attributes:
    output: the decoded answer to each.
    log_probability: of each, f32[N]; 0 for arms without a language model.
  """

  output: list[str]
  log_probability: np.ndarray

  def take(self, rows: np.ndarray) -> 'Said':
    """Returns what was said to some of the questions."""
    outputs = [self.output[i] for i in rows]
    return Said(outputs, self.log_probability[rows])


def fixed(outputs: list[str]) -> Said:
  """Answers that no language model gave."""
  return Said(outputs, np.zeros(len(outputs), np.float32))
