# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps activations at chosen positions of prompts into a store."""

import dataclasses
import functools

import jax
import numpy as np

from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import writer
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import hosts
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
    prompts_per_shard: prompts that are read at once; their rows make up a
      shard if each has as many as the longest.
  """

  spec: layout.StoreSpec
  rows: int
  prompts_per_shard: int

  @property
  def gigabytes(self) -> float:
    """Bytes of the activations, in 10^9."""
    one = len(self.spec.layers) * self.spec.width * len(self.spec.sites)
    return self.rows * one * np.dtype(self.spec.dtype).itemsize / 1e9


def rows(prompts: prompts_lib.Prompts) -> int:
  """Returns how many rows a dump of prompts has: see `dump`."""
  if prompts.positions:
    return len(prompts) * len(prompts.positions)
  return sum(len(ids) - 1 for ids in prompts.ids)


def dump(
  model: decoder.Decoder,
  prompts: prompts_lib.Prompts,
  plan: Plan,
  directory: files.PathLike,
) -> None:
  """Writes the store shard by shard; whole shards of an earlier run are kept.

  Of several processes each writes every n-th of the shards that are left.

  Prompt by prompt there is a row for each position kind; or, if there are no
  kinds, for each token but the first.

  Args:
    model: the target.
    prompts: what is read.
    plan: what to write, with as many rows as `rows` says.
    directory: the store.
  """
  tokens_NxT, lengths_N = prompts.padded()
  positions_NxQ, asked_NxQ = _positions(prompts, lengths_N)
  # Of each row, its prompt and its place among the prompt's positions.
  prompt_R, place_R = np.nonzero(asked_NxQ)
  size = plan.prompts_per_shard

  # Prompts are read in the same batches whatever is left to do. Of prompts of
  # one length these are the shards; else shards begin and end within batches.
  @functools.lru_cache(maxsize=1)
  def read(batch: int) -> dict[str, jax.Array]:
    """Activations of some prompts by site, [C, B, Q, D] or [B, Q, D]."""
    chosen = np.arange(batch * size, min((batch + 1) * size, len(prompts)))
    # The last batch is filled up, so that one program serves all.
    filled = np.resize(chosen, size)
    wanted = capture.build(
      model.config, plan.spec.sites, plan.spec.layers, positions_NxQ[filled]
    )
    found = run.run(model, tokens_NxT[filled], lengths_N[filled], None, wanted)
    return hosts.gathered(found.captured)

  store = writer.StoreWriter(directory, plan.spec, plan.rows)
  shards = plan.spec.shards(plan.rows)
  done = store.completed_shards()
  left = [shard for shard in range(shards) if shard not in done]
  for number, shard in enumerate(progress.track(left, len(left), 'shards')):
    chosen = slice(*plan.spec.shard_range(shard, plan.rows))
    prompt, place = prompt_R[chosen], place_R[chosen]
    batches = range(prompt[0] // size, prompt[-1] // size + 1)
    if number % hosts.count() != hosts.index():  # Another process writes it.
      for batch in batches:
        read(batch)
      preemption.check()
      continue
    position = positions_NxQ[prompt, place]
    arrays = {
      'token_id': tokens_NxT[prompt, position],
      'document': prompt.astype(np.int64),
      'position': position,
    }
    parts: dict[str, list[np.ndarray]] = {site: [] for site in plan.spec.sites}
    for batch in batches:
      own = prompt // size == batch
      for site, found in jax.device_get(read(batch)).items():
        values = (
          np.moveaxis(found, 0, 2) if site in plan.spec.layered else found
        )
        parts[site].append(values[prompt[own] % size, place[own]])
    for site, values_ in parts.items():
      dtype = plan.spec.item_dtype(site)
      arrays[site] = np.concatenate(values_).astype(dtype)
    store.write_shard(shard, arrays)
    preemption.check()
  store.finish()


def _positions(
  prompts: prompts_lib.Prompts, lengths_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns positions, i32[N, Q], and which are to be dumped, bool[N, Q]."""
  if prompts.positions:
    kinds_NxQ = np.stack(list(prompts.positions.values()), 1)
    return kinds_NxQ, np.ones(kinds_NxQ.shape, bool)
  # All but the first, BOS or not: it is unlike any other (an attention sink).
  # No padding, which nobody wrote.
  every = np.arange(1, lengths_N.max(), dtype=np.int32)
  positions_NxQ = np.tile(every, (len(prompts), 1))
  return positions_NxQ, positions_NxQ < lengths_N[:, None]
