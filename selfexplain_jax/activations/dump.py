# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Dumps activations at chosen positions of prompts into a store."""

import collections
import concurrent.futures
import dataclasses
import functools
import os

import jax
import numpy as np

from selfexplain_jax import estimate
from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.activations import layout
from selfexplain_jax.activations import writer
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import launches
from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import capture
from selfexplain_jax.models import decoder

# Of a machine's memory, for shards that are written at a time; about as much
# again is held of what is read, and twice as much by TensorStore.
_SHARE, _MOST = 1 / 16, 4 << 30


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
  def batches(shard: int) -> range:
    first, end = plan.spec.shard_range(shard, plan.rows)
    return range(prompt_R[first] // size, prompt_R[end - 1] // size + 1)

  def read(batch: int) -> dict[str, jax.Array]:
    """Activations of some prompts by site, [C, B, Q, D] or [B, Q, D]."""
    chosen = np.arange(batch * size, min((batch + 1) * size, len(prompts)))
    # The last batch is filled up, so that one program serves all.
    filled = np.resize(chosen, size)
    wanted = capture.build(
      model.config, plan.spec.sites, plan.spec.layers, positions_NxQ[filled]
    )
    found = hosts.gathered(capture.run(model, tokens_NxT[filled], wanted))
    if batch in own_batches:
      for array in found.values():
        array.copy_to_host_async()
    return found

  def rows_of(
    shard: int, found: dict[int, dict[str, jax.Array]]
  ) -> dict[str, np.ndarray]:
    """The arrays of a shard, from the batches that have its rows."""
    chosen = slice(*plan.spec.shard_range(shard, plan.rows))
    prompt, place = prompt_R[chosen], place_R[chosen]
    position = positions_NxQ[prompt, place]
    arrays = {
      'token_id': tokens_NxT[prompt, position],
      'document': prompt.astype(np.int64),
      'position': position,
    }
    if len(found) == 1 and len(prompt) == size * positions_NxQ.shape[1]:
      # All that was read of a batch is the shard: it is written from there.
      (sites,) = found.values()
      for site, captured in jax.device_get(sites).items():
        rows_ = captured.reshape(*captured.shape[:-3], -1, captured.shape[-1])
        layered = site in plan.spec.layered
        arrays[site] = np.swapaxes(rows_, 0, 1) if layered else rows_
      return arrays
    for site in plan.spec.sites:
      shape = (len(prompt), *plan.spec.item_shape(site))
      arrays[site] = np.empty(shape, plan.spec.item_dtype(site))
    for batch, sites in found.items():
      own = prompt // size == batch
      for site, captured in jax.device_get(sites).items():
        if site in plan.spec.layered:
          captured = np.moveaxis(captured, 0, 2)
        arrays[site][own] = captured[prompt[own] % size, place[own]]
    return arrays

  store = writer.StoreWriter(directory, plan.spec, plan.rows)
  shards = plan.spec.shards(plan.rows)
  done = store.completed_shards()
  left = [shard for shard in range(shards) if shard not in done]
  own_shards = left[hosts.index() :: hosts.count()]
  own_batches = {batch for shard in own_shards for batch in batches(shard)}
  # Devices are at the next batch while what they have read leaves them and is
  # written; beside those that are written few are held at a time.
  every = dict.fromkeys(batch for shard in left for batch in batches(shard))
  ahead = launches.launched(functools.partial(read, batch) for batch in every)
  found: dict[int, dict[str, jax.Array]] = {}
  writers = _writers(plan)
  written = collections.deque[concurrent.futures.Future[None]]()
  with concurrent.futures.ThreadPoolExecutor(writers) as writing:
    for number, shard in enumerate(progress.track(left, len(left), 'shards')):
      found = {
        batch: found[batch] if batch in found else next(ahead)
        for batch in batches(shard)
      }
      if number % hosts.count() == hosts.index():
        if len(written) == writers:
          written.popleft().result()
        arrays = rows_of(shard, found)
        written.append(writing.submit(store.write_shard, shard, arrays))
      # Else another process writes it.
      preemption.check()
    for one in written:
      one.result()
  store.finish()


def _writers(plan: Plan) -> int:
  """Shards that are written at once.

  Writing one is copying and checksums, more than half of it by one thread.
  """
  shard = plan.gigabytes * 1e9 / plan.spec.shards(plan.rows)
  room = min(estimate.machine_bytes() * _SHARE, _MOST)
  return max(1, min((os.cpu_count() or 1) // 2, int(room // shard)))


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
