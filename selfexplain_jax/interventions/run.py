# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Runs a decoder with captures and patches and reads its next token."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from selfexplain_jax.interventions import capture as capture_lib
from selfexplain_jax.interventions import patch as patch_lib
from selfexplain_jax.models import choice
from selfexplain_jax.models import decoder


class NextToken(NamedTuple):
  """What a model says next, with everything that its verdict rests on.

  Attributes:
    token: i32[B], the most likely next token.
    margin: f32[B], its logit minus the runner-up's.
    written: i32[B], cells that the patches wrote; 0 without patches.
    captured: site name to activations, [C, B, Q, D] or [B, Q, D].
    logits: f32[B, V] at the last position, None unless asked for.
  """

  token: jax.Array
  margin: jax.Array
  written: jax.Array
  captured: dict[str, jax.Array]
  logits: jax.Array | None


@dataclasses.dataclass(frozen=True)
class _Both:
  """A tap that patches and then captures, so captures see what was written."""

  patches: patch_lib.Patches | None
  capture: capture_lib.Capture | None

  def start(self, tokens_BxT: jax.Array) -> tuple[Any, Any]:
    rows = tokens_BxT.shape[0]
    none = jnp.zeros(rows, jnp.int32)
    return (
      none if self.patches is None else self.patches.start(tokens_BxT),
      {} if self.capture is None else self.capture.start(tokens_BxT),
    )

  def visit(
    self, state: tuple[Any, Any], site: str, layer: jax.Array, value: jax.Array
  ) -> tuple[tuple[Any, Any], jax.Array]:
    written, kept = state
    if self.patches is not None:
      written, value = self.patches.visit(written, site, layer, value)
    if self.capture is not None:
      kept, value = self.capture.visit(kept, site, layer, value)
    return (written, kept), value


@functools.partial(jax.jit, static_argnames=('keep_logits',))
def run(
  model: decoder.Decoder,
  tokens_BxT: jax.Array,
  length_B: jax.Array,
  patches: patch_lib.Patches | None = None,
  capture: capture_lib.Capture | None = None,
  keep_logits: bool = False,
) -> NextToken:
  """Runs whole sequences and reads what follows their last token.

  Only the last position's logits are formed.

  Args:
    model: the decoder.
    tokens_BxT: i32, padded on the right with any id.
    length_B: i32, tokens of each sequence, BOS counted.
    patches: what to write, for the same B sequences.
    capture: what to read, for the same B sequences; it sees what was written.
    keep_logits: whether the [B, V] logits are returned.
  """
  hidden, (written, captured) = decoder.forward(
    model, tokens_BxT, tap=_Both(patches, capture)
  )
  last = jnp.take_along_axis(hidden, (length_B - 1)[:, None, None], 1)[:, 0]
  token, margin, logits = choose(model, last)
  return NextToken(
    token=token,
    margin=margin,
    written=written,
    captured=captured,
    logits=logits if keep_logits else None,
  )


def choose(
  model: decoder.Decoder, hidden_BxD: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Reads the next token of hidden states after the final norm.

  Returns:
    The most likely token i32[B], its margin f32[B], and the logits f32[B, V].
  """
  logits = decoder.unembed(model, hidden_BxD)
  made = choice.choose(logits)
  return made.token, made.margin, logits
