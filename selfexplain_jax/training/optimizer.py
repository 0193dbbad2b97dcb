# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The optimizer of every trained model: Muon for matrices, AdamW else."""

from typing import Any

import jax
import ml_collections
import optax
from optax import contrib

from selfexplain_jax.training import freezing


def schedule(config: ml_collections.ConfigDict, steps: int) -> optax.Schedule:
  """Linear warm-up over `config.warmup` steps, then linear decay to 0."""
  rise = optax.schedules.linear_schedule(0.0, config.peak_rate, config.warmup)
  fall = optax.schedules.linear_schedule(
    config.peak_rate, 0.0, max(1, steps - config.warmup)
  )
  return optax.schedules.join_schedules([rise, fall], [config.warmup])


def make(
  config: ml_collections.ConfigDict,
  steps: int,
  frozen: freezing.Frozen = freezing.NOTHING,
) -> optax.GradientTransformation:
  """Makes the optimizer.

  Args:
    config: `peak_rate` of Muon's matrices, `adam_rate` as a multiple of it,
      `warmup` in steps, `weight_decay` of the matrices, and `clip_norm`.
    steps: length of the schedule.
    frozen: what is never updated, not even by weight decay.
  """
  rate = schedule(config, steps)
  return optax.chain(
    freezing.hold(frozen),
    optax.clip_by_global_norm(config.clip_norm),
    contrib.muon(
      rate,
      weight_decay=config.weight_decay,
      adam_learning_rate=lambda step: config.adam_rate * rate(step),
      muon_weight_dimension_numbers=_matrices,
    ),
    freezing.hold(frozen),
  )


def _matrices(params: Any) -> Any:
  """Marks the stacked matrices [L, rows, columns] for Muon.

  The embedding has two axes and stays with AdamW: its rows are looked up rather
  than multiplied.
  """

  def one(param: jax.Array) -> contrib.MuonDimensionNumbers | None:
    return contrib.MuonDimensionNumbers(1, 2) if param.ndim == 3 else None

  return jax.tree.map(one, params)
