# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Re-runs the interventions that claims are about: what really happens."""

import dataclasses

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib


@dataclasses.dataclass(frozen=True)
class Rerun:
  """What re-running showed for N records.

  Attributes:
    clean_id: i32[N], the target's token without the patch.
    patched_id: i32[N], with it.
    clean_margin: f32[N], in logits.
    patched_margin: f32[N], in logits.
    effects: the effect of each, in the form of a claim.
    disagreements: records whose stored effect is not what re-running shows.
  """

  clean_id: np.ndarray
  patched_id: np.ndarray
  clean_margin: np.ndarray
  patched_margin: np.ndarray
  effects: list[claims.Claim]
  disagreements: int


def rerun(
  model: decoder.Decoder,
  tokenizer: tokenizer_lib.Tokenizer,
  explained: explanations.ExplanationSet,
  chosen: np.ndarray,
) -> Rerun:
  """Runs the target anew on records, never reading their stored effects.

  Args:
    model: the target.
    tokenizer: the target's.
    explained: the explanation set; its prompts, blocks, positions and vectors
      say what to run.
    chosen: i64[N], the records.

  Raises:
    errors.InputError: if the records are of several sites.
  """
  rows = [explained.rows[i] for i in chosen]
  tokens, lengths = prompts_lib.pad([row['prompt_ids'] for row in rows])

  sites = {row['site'] for row in rows}
  if len(sites) != 1:
    raise errors.InputError(
      f'records patch the sites {", ".join(sorted(sites))}: expected one site'
    )

  def column(name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], np.int32)

  cells = effects_lib.Cells(
    tokens=tokens,
    length=lengths,
    first=column('first_layer'),
    last=column('last_layer'),
    position=column('position'),
    vector=explained.vectors[chosen],
    site=sites.pop(),
  )
  clean = effects_lib.run_clean(model, tokens, lengths)
  patched = effects_lib.run_patched(model, cells)
  changed = clean.token != patched.token
  said = np.where(changed, patched.token, clean.token)
  stored = np.stack([column('clean_id'), column('patched_id')])
  now = np.stack([clean.token, patched.token])
  return Rerun(
    clean_id=clean.token,
    patched_id=patched.token,
    clean_margin=clean.margin,
    patched_margin=patched.margin,
    effects=[
      claims.Claim(bool(c), tokenizer.token(int(t)))
      for c, t in zip(changed, said, strict=True)
    ],
    disagreements=int(np.sum(np.any(stored != now, 0))),
  )
