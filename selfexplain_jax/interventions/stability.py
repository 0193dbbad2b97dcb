# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Which verdicts hold when the target is run in another batch shape.

Sums are ordered by the shape of a batch. In float32 that turns round choices
with margins of 1e-4 and less; in bfloat16, which rounds to 8 bits after each of
them, others too: what looks like an effect may be rounding.
"""

from typing import Any

import numpy as np

from selfexplain_jax.interventions import effects as effects_lib

# Rows that are run at once, and when verdicts are run again.
BATCH, OTHER_BATCH = 512, 96

# Verdicts in float32 whose margins are not below this are not run again.
_NARROW = 1e-2

# Upper ends of the ranges of margins that flips are counted in.
_ENDS = (0.01, 0.03, 0.1, 0.3, 1.0, float('inf'))


def doubtful(margin_N: np.ndarray, dtype: str) -> np.ndarray:
  """Which verdicts are to be run again, bool[N].

  Args:
    margin_N: the smaller one of the margins of each verdict's two runs.
    dtype: that the target is run in; in bfloat16 all verdicts are doubtful.
  """
  return margin_N < (np.inf if dtype == 'bfloat16' else _NARROW)


def margin(
  clean: effects_lib.Effects, treated: effects_lib.Effects
) -> np.ndarray:
  """The smaller one of the margins of each verdict's two runs, f32[N]."""
  return np.minimum(clean.margin, treated.margin)


def flipped(
  clean: effects_lib.Effects,
  treated: effects_lib.Effects,
  clean_again: effects_lib.Effects,
  treated_again: effects_lib.Effects,
) -> np.ndarray:
  """Of which verdicts either run says something else, bool[N]."""
  return (clean.token != clean_again.token) | (
    treated.token != treated_again.token
  )


def notes(margin_N: np.ndarray, flipped_N: np.ndarray) -> dict[str, Any]:
  """Counts flips among N verdicts that were run again, also by margin.

  Returns:
    `run_again` (N), `count`, `share` (None for none of N), and `by_margin`: for
    each range of the smaller margin, `run_again` and `count`.
  """
  place = np.searchsorted(_ENDS, margin_N, side='right')
  by_margin = {
    f'below {end:g}': {
      'run_again': int(np.sum(place == i)),
      'count': int(np.sum(flipped_N[place == i])),
    }
    for i, end in enumerate(_ENDS)
  }
  count, again = int(np.sum(flipped_N)), len(flipped_N)
  return {
    'run_again': again,
    'count': count,
    'share': count / again if again else None,
    'by_margin': by_margin,
  }
