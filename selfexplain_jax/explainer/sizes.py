# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""What training an explainer takes, told from its configuration alone."""

import dataclasses

import jax
import ml_collections

from selfexplain_jax import estimate
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import huggingface
from selfexplain_jax.models import lora
from selfexplain_jax.training import optimizer as optimizer_lib


def shape(config: ml_collections.ConfigDict) -> config_lib.DecoderConfig:
  """Returns the shape of the explainer, in the dtypes that it is trained in.

  Weights that are trained stay in float32, whatever they are run in.

  Args:
    config: of the training: `initial`, `dtype`, `lora_rank` and `remat`.

  Raises:
    errors.InputError: if `initial` is no model.
  """
  return dataclasses.replace(
    huggingface.read_config(config.initial),
    dtype=config.dtype,
    parameter_dtype=config.dtype if config.lora_rank else 'float32',
    remat=config.remat,
  )


def tokens(config: ml_collections.ConfigDict) -> int:
  """Tokens of all steps, padding and replayed rows included."""
  rows = config.batch + config.replay.batch
  return config.steps * rows * config.row_length


def text(
  config: ml_collections.ConfigDict, shape_: config_lib.DecoderConfig
) -> str:
  """Says how long it takes, and what memory, in all and on each device.

  Args:
    config: of the training.
    shape_: of the explainer.

  Raises:
    errors.InputError: if the mesh or the optimizer makes no sense, or the
      devices cannot hold what is trained.
  """
  mesh = mesh_lib.plan_mesh(**config.mesh)
  model = decoder.abstract(shape_)
  trained: decoder.Decoder | lora.Lora = model
  held = estimate.Memory(0, 0, 0)
  if config.lora_rank:
    held = estimate.memory(model, mesh)
    trained = lora.abstract(model, config.lora_rank, config.lora_embedding)
  state = estimate.memory(trained, mesh)
  optimizer = optimizer_lib.make(config.optimizer, config.steps)
  moments = estimate.memory(jax.eval_shape(optimizer.init, trained), mesh)
  estimate.require_room((held + state + moments).device, mesh)
  taken = held + state + state + moments
  minutes = estimate.minutes(
    estimate.training(shape_.weights, tokens(config)), mesh
  )
  step = estimate.step_bytes(
    shape_,
    (config.batch + config.replay.batch) // config.accumulate,
    config.row_length,
    mesh,
    trained=True,
  )
  of_all = f' of {held.parameters / 1e6:.2f} M' if config.lora_rank else ''
  return (
    f'roughly {minutes:.1f} minutes; {state.parameters / 1e6:.2f} M weights '
    f'trained{of_all}; weights, gradients and optimizer '
    f'{estimate.gigabytes(taken.total)}, on each of {mesh.size} devices '
    f'{estimate.gigabytes(taken.device)}, and roughly '
    f'{estimate.gigabytes(step)} for a step'
  )
