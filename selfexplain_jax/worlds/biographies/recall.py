# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What a model of the world knows: recall of known and unknown facts."""

import jax
import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import run
from selfexplain_jax.models import decoder

_BATCH = 512


def next_tokens(model: decoder.Decoder, ids: list[list[int]]) -> np.ndarray:
  """Returns the most likely next token after each sequence, i32[N]."""
  padded, lengths = prompts_lib.pad(ids)
  found = []
  for start in range(0, len(ids), _BATCH):
    rows = padded[start : start + _BATCH]
    count = len(rows)
    # The last batch is filled up, so that one program serves all.
    filled = np.resize(rows, (_BATCH, rows.shape[1]))
    ends = np.resize(lengths[start : start + _BATCH], _BATCH)
    found.append(jax.device_get(run.run(model, filled, ends).token)[:count])
  return np.concatenate(found)


def recall(
  model: decoder.Decoder, prompts: prompts_lib.Prompts
) -> dict[str, float]:
  """Shares of the known and of the unknown facts that the model answers right.

  Args:
    model: the model.
    prompts: those of `prompts.all_prompts` for the model's known set.
  """
  right = next_tokens(model, [list(ids) for ids in prompts.ids])
  right = right == prompts.answer
  return {
    'known': float(np.mean(right[prompts.known])),
    'unknown': float(np.mean(right[~prompts.known])),
  }
