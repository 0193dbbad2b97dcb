# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a model of the world knows: recall of known and unknown facts."""

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import effects
from selfexplain_jax.models import decoder


def recall(
  model: decoder.Decoder, prompts: prompts_lib.Prompts
) -> dict[str, float]:
  """Shares of the known and of the unknown facts that the model answers right.

  Args:
    model: the model.
    prompts: those of `prompts.all_prompts` for the model's known set.
  """
  said = effects.run_clean(model, *prompts.padded()).token
  right = said == prompts.answer
  return {
    'known': float(np.mean(right[prompts.known])),
    'unknown': float(np.mean(right[~prompts.known])),
  }
