# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps activations at chosen positions of prompts into a store."""

import dataclasses

import jax
import numpy as np

from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import writer
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import run
from selfexplain_jax.models import decoder


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a dump will write.

  Attributes:
    spec: of the store.
    rows: rows in all: positions asked for, over all prompts.
    prompts_per_shard: prompts whose rows make up a shard.
  """

  spec: layout.StoreSpec
  rows: int
  prompts_per_shard: int

  @property
  def gigabytes(self) -> float:
    """Bytes of the activations, in 10^9."""
    one = len(self.spec.layers) * self.spec.width * len(self.spec.sites)
    return self.rows * one * np.dtype(self.spec.dtype).itemsize / 1e9


def dump(
  model: decoder.Decoder,
  prompts: prompts_lib.Prompts,
  plan: Plan,
  directory: files.PathLike,
) -> None:
  """Writes the store shard by shard; whole shards of an earlier run are kept.

  Row `n * Q + q` holds the q-th position kind of prompt n, or the token at
  position q + 1 if there are no kinds.

  Args:
    model: the target.
    prompts: N prompts with Q position kinds; or with none and Q + 1 tokens
      each.
    plan: what to write.
    directory: the store.

  Raises:
    ValueError: if prompts without position kinds differ in length.
  """
  tokens_NxT, lengths_N = prompts.padded()
  positions_NxQ = _positions(prompts, lengths_N)
  size, kinds = plan.prompts_per_shard, positions_NxQ.shape[1]
  store = writer.StoreWriter(directory, plan.spec, plan.rows)
  shards = plan.spec.shards(plan.rows)
  done = store.completed_shards()
  left = [shard for shard in range(shards) if shard not in done]
  for shard in progress.track(left, len(left), 'shards'):
    chosen = np.arange(shard * size, min((shard + 1) * size, len(prompts)))
    # The last shard is filled up, so that one program serves all.
    filled = np.resize(chosen, size)
    asked = capture.build(
      model.config, plan.spec.sites, plan.spec.layers, positions_NxQ[filled]
    )
    found = run.run(model, tokens_NxT[filled], lengths_N[filled], None, asked)
    arrays = {
      'token_id': np.take_along_axis(
        tokens_NxT[chosen], positions_NxQ[chosen], 1
      ).reshape(-1),
      'document': np.repeat(chosen, kinds).astype(np.int64),
      'position': positions_NxQ[chosen].reshape(-1),
    }
    for site, values in jax.device_get(found.captured).items():
      if site in plan.spec.layered:  # [C, B, Q, D] to rows of [C, D]
        values = np.moveaxis(values, 0, 2)
      values = values[: len(chosen)].reshape(
        len(chosen) * kinds, *plan.spec.item_shape(site)
      )
      arrays[site] = values.astype(plan.spec.item_dtype(site))
    store.write_shard(shard, arrays)
    preemption.check()
  store.finish()


def _positions(
  prompts: prompts_lib.Prompts, lengths_N: np.ndarray
) -> np.ndarray:
  """Returns the positions to dump, i32[N, Q]."""
  if prompts.positions:
    return np.stack(list(prompts.positions.values()), 1)
  if np.any(lengths_N != lengths_N[0]):
    raise ValueError('prompts without position kinds differ in length')
  # All but BOS, which is the same everywhere and unlike anything else.
  every = np.arange(1, lengths_N[0], dtype=np.int32)
  return np.tile(every, (len(prompts), 1))
