# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Input ablation: prompts with a span of tokens removed or replaced."""

from collections.abc import Sequence


def ablate(
  ids: Sequence[int], start: int, end: int, replacement: Sequence[int] = ()
) -> list[int]:
  """Returns a prompt with a span of its tokens replaced, or removed.

  Args:
    ids: the prompt.
    start: absolute index of the span's first token, BOS counted.
    end: index after its last one.
    replacement: what stands there instead; nothing by default.

  Raises:
    ValueError: if the span is empty or not within the prompt, or nothing of the
      prompt is left.
  """
  if not 0 <= start < end <= len(ids):
    raise ValueError(
      f'span {start}:{end} of a prompt of {len(ids)} tokens: expected '
      '0 <= start < end <= its length'
    )
  ablated = [*ids[:start], *replacement, *ids[end:]]
  if not ablated:
    raise ValueError('ablation leaves no token: expected at least one')
  return ablated
