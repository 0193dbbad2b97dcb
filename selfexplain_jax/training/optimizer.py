# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The optimizer of a trained model: Muon for matrices and AdamW else, or AdamW.

Small models from scratch learn several times as fast with Muon; large ones that
are tuned are tuned with AdamW, as in the paper (method B.3).
"""

from typing import Any

import jax
import ml_collections
import optax
from optax import contrib

from selfexplain_jax import errors
from selfexplain_jax.training import freezing

KINDS = ('muon', 'adamw')
SCHEDULES = ('linear', 'constant')


def schedule(config: ml_collections.ConfigDict, steps: int) -> optax.Schedule:
  """Linear warm-up over `config.warmup` steps, then linear decay to 0.

  With a `config.schedule` of `constant` the rate stays at its peak.
  """
  kind = config.get('schedule', SCHEDULES[0])
  _check('schedule', kind, SCHEDULES)
  rise = optax.schedules.linear_schedule(0.0, config.peak_rate, config.warmup)
  end = config.peak_rate if kind == 'constant' else 0.0
  fall = optax.schedules.linear_schedule(
    config.peak_rate, end, max(1, steps - config.warmup)
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
      `warmup` in steps, `weight_decay` of the matrices, and `clip_norm`; and,
      of large models, `kind` and `schedule`, without which they are `muon` and
      `linear`. AdamW alone has one rate and decays all weights.
    steps: length of the schedule.
    frozen: what is never updated, not even by weight decay.

  Raises:
    errors.InputError: if there is no such kind or schedule.
  """
  rate = schedule(config, steps)
  kind = config.get('kind', KINDS[0])
  _check('kind', kind, KINDS)
  if kind == 'adamw':
    return optax.chain(
      freezing.hold(frozen),
      optax.clip_by_global_norm(config.clip_norm),
      optax.adamw(rate, weight_decay=config.weight_decay),
      freezing.hold(frozen),
    )
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


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
  if value not in allowed:
    raise errors.InputError(
      f'config.optimizer.{name} is {value!r}: expected {" or ".join(allowed)}'
    )


def _matrices(params: Any) -> Any:
  """Marks the stacked matrices [L, rows, columns] for Muon.

  The embedding has two axes and stays with AdamW: its rows are looked up rather
  than multiplied.
  """

  def one(param: jax.Array) -> contrib.MuonDimensionNumbers | None:
    return contrib.MuonDimensionNumbers(1, 2) if param.ndim == 3 else None

  return jax.tree.map(one, params)
