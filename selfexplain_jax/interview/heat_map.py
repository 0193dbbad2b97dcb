# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Where in a text patching changes the output: every layer and position."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import subject as subject_lib
from selfexplain_jax.tasks import patching

# Cells are run so many at a time.
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class HeatMap:
  """What the output is with one activation of another text, cell by cell.

  Attributes:
    tokens: the text, T of them.
    source: the text that vectors are from, T of them.
    clean_token: the output without a patch.
    clean_margin: its logit minus the runner-up's.
    token: the output of each layer and position, [L][T]; BOS is not patched,
      and has the clean one.
    margin: f32[L, T], their margins.
  """

  tokens: tuple[str, ...]
  source: tuple[str, ...]
  clean_token: str
  clean_margin: float
  token: list[list[str]]
  margin: np.ndarray

  def to_json(self) -> dict[str, Any]:
    """Returns it as values that JSON has."""
    return {
      **dataclasses.asdict(self),
      'margin': self.margin.tolist(),
      'changed': [[t != self.clean_token for t in row] for row in self.token],
    }


def make(
  interview: interview_lib.Interview, ids: Sequence[int], source: Sequence[int]
) -> HeatMap:
  """Patches every layer and position with what another text has there.

  Args:
    interview: whose target is run.
    ids: the text.
    source: the other text, of as many tokens.

  Raises:
    errors.InputError: if it has another number of them.
  """
  if len(ids) != len(source):
    raise errors.InputError(
      f'the text has {len(ids)} tokens and the source {len(source)}: expected '
      'as many, each position gets what is at the same one of the source'
    )
  interview.require_text(ids)
  interview.require_text(source)
  target, subject = interview.target, interview.subject(patching.NAME)
  layers, length = target.config.layers, len(ids)
  starts = [p for p in range(length) if ids[p] != target.tokenizer.bos_id]
  if not starts:
    raise errors.InputError('the text has no words: expected one at least')
  with jax.set_mesh(interview.mesh):
    stream = subject.activations([tuple(source)])[:, 0]
    layer, position = (
      grid.reshape(-1)
      for grid in np.meshgrid(np.arange(layers), starts, indexing='ij')
    )
    tokens, lengths = prompts_lib.pad([ids], step=subject_lib.LENGTH_STEP)
    effects = effects_lib.run_patched(
      target.model,
      effects_lib.Cells(
        tokens=np.repeat(tokens, len(layer), 0),
        length=np.repeat(lengths, len(layer)),
        first=layer.astype(np.int32),
        last=layer.astype(np.int32),
        position=position.astype(np.int32),
        vector=stream[layer, position],
        site=subject.site,
      ),
      _BATCH,
    )
    clean = effects_lib.run_clean(
      target.model, tokens, lengths, subject_lib.BATCH
    )
  clean_token = target.tokenizer.text(int(clean.token[0]))
  token = [[clean_token] * length for _ in range(layers)]
  margin = np.full((layers, length), clean.margin[0], np.float32)
  for n, (row, column) in enumerate(zip(layer.tolist(), position.tolist())):
    token[row][column] = target.tokenizer.text(int(effects.token[n]))
    margin[row, column] = effects.margin[n]
  return HeatMap(
    tuple(target.tokenizer.text(i) for i in ids),
    tuple(target.tokenizer.text(i) for i in source),
    clean_token,
    float(clean.margin[0]),
    token,
    margin,
  )
