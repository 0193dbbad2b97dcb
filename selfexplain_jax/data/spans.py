# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Prompts with named spans of tokens, whose influence can be asked about."""

from collections.abc import Mapping
import dataclasses

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib


@dataclasses.dataclass(frozen=True)
class SpannedPrompts:
  """N prompts and their spans.

  Attributes:
    prompts: the prompts.
    spans: for each kind of span, i32[N, 2]: where it starts and ends in each
      prompt, absolute, BOS counted, the end not included; (0, 0) for not there.
  """

  prompts: prompts_lib.Prompts
  spans: Mapping[str, np.ndarray]

  def __len__(self) -> int:
    return len(self.prompts)

  def tokens(self, kind: str, prompt: int) -> list[int]:
    """The token ids of one span."""
    start, end = self.spans[kind][prompt]
    return list(self.prompts.ids[prompt][start:end])


def of_positions(prompts: prompts_lib.Prompts) -> SpannedPrompts:
  """Returns prompts whose spans are the single tokens at their positions.

  The first token is none of them: in short samples it is BOS.
  """
  return SpannedPrompts(
    prompts,
    {
      kind: (np.stack([at, at + 1], 1) * (at > 0)[:, None]).astype(np.int32)
      for kind, at in prompts.positions.items()
    },
  )
