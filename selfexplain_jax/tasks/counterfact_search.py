# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The search through pairs of facts for patches that change outputs.

It goes through the pairs in chunks: memory is bounded by one chunk, and the
effects of finished chunks are kept in a folder.
"""

import dataclasses

import ml_collections
import numpy as np

from selfexplain_jax import files
from selfexplain_jax import progress
from selfexplain_jax.data import chance
from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import block_means
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import kept as kept_lib
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import counterfact_pairs
from selfexplain_jax.tasks import counterfact_prompts
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import target as target_lib


@dataclasses.dataclass(frozen=True)
class Search:
  """Every patch of pairs of prompts that can be made: `sampling.Treatments`.

  Attributes:
    target: the target.
    pairs: M pairs, whose index stands for both of their prompts.
    blocks: i32[C, 2], first and last layer of each block.
    config: `seed`, `site`, and `chunk`, pairs that are captured at once.
    kept: folder for the effects of finished chunks; None to keep nothing.
  """

  target: target_lib.Target
  pairs: counterfact_pairs.Pairs
  blocks: np.ndarray
  config: ml_collections.ConfigDict
  kept: files.PathLike | None = None

  @property
  def places(self) -> tuple[str, ...]:
    return counterfact_prompts.PLACES

  @property
  def kinds(self) -> tuple[str, ...]:
    return tuple(patching.layers_text(*block) for block in self.blocks.tolist())

  def draw(
    self, usable: np.ndarray, wanted: np.ndarray, purpose: str
  ) -> cells_lib.Placed:
    """Returns all patches of the usable pairs, in an order that is drawn."""
    del wanted
    at, position = np.nonzero(self.pairs.aligned[usable] >= 0)
    pair = usable[at]
    place = np.array(
      [
        self.pairs.prompt[p].place[t]
        for p, t in zip(pair, position, strict=True)
      ],
      np.int64,
    )
    blocks = len(self.blocks)
    pair, place, position = (
      np.repeat(column, blocks) for column in (pair, place, position)
    )
    block = np.tile(np.arange(blocks), len(at))
    order = chance.generator(self.config.seed, 'search', purpose).permutation(
      len(pair)
    )
    every = cells_lib.Placed(pair, pair, place, block, position)
    return every.take(order)

  def cells(
    self, drawn: cells_lib.Placed, means_CxBxTxD: np.ndarray, first: int
  ) -> effects_lib.Cells:
    """Returns patches of one chunk, whose first pair is `first`."""
    pairs, pair = self.pairs, drawn.base
    source = pairs.aligned[pair, drawn.position]
    return effects_lib.Cells(
      tokens=pairs.tokens[pair],
      length=pairs.length[pair],
      first=self.blocks[drawn.block, 0],
      last=self.blocks[drawn.block, 1],
      position=drawn.position.astype(np.int32),
      vector=means_CxBxTxD[drawn.block, pair - first, source],
      site=self.config.site,
    )

  def means(self, chunk: int) -> np.ndarray:
    """Runs the other prompts of a chunk, f32[C, chunk, T, D].

    What is left of the last chunk is filled up: one program serves all.
    """
    pairs = np.arange(len(self.pairs))
    size = self.config.chunk
    rows = np.resize(pairs[chunk * size : (chunk + 1) * size], size)
    found = block_means.means(
      self.target.model,
      self.pairs.other_tokens[rows],
      self.blocks,
      self.config.site,
    )
    return hosts.fetch(found)

  def run(self, drawn: cells_lib.Drawn, batch: int) -> effects_lib.Effects:
    """Runs patches chunk by chunk; in whatever order they come."""
    assert isinstance(drawn, cells_lib.Placed)
    rows, parts = self._by_chunk(drawn), []
    for chunk, own in progress.track(rows, len(rows), 'chunks of pairs'):
      parts.append(self._run(chunk, drawn.take(own), batch))
    found = effects_lib.join(parts) if parts else effects_lib.nothing()
    order = [own for _, own in rows] or [np.empty(0, np.int64)]
    return found.take(np.argsort(np.concatenate(order), kind='stable'))

  def _by_chunk(self, drawn: cells_lib.Placed) -> list[tuple[int, np.ndarray]]:
    """Returns the rows of each chunk, sorted by what they are."""
    order = np.lexsort((drawn.block, drawn.position, drawn.base))
    chunk = drawn.base[order] // self.config.chunk
    numbers, starts = np.unique(chunk, return_index=True)
    parts = np.split(order, starts[1:])
    return list(zip(numbers.tolist(), parts, strict=False))

  def _run(
    self, chunk: int, drawn: cells_lib.Placed, batch: int
  ) -> effects_lib.Effects:
    """Runs patches of one chunk, unless that was done before."""
    first = chunk * self.config.chunk
    pairs = slice(first, first + self.config.chunk)
    inputs = {
      'weights': self.target.weight_hash,
      'dtype': self.target.config.dtype,
      'site': self.config.site,
      'chunk': self.config.chunk,
      'batch': batch,
    }
    arrays = [
      self.blocks,
      self.pairs.tokens[pairs],
      self.pairs.length[pairs],
      self.pairs.other_tokens[pairs],
      self.pairs.aligned[pairs],
      np.stack([drawn.base - first, drawn.position, drawn.block]),
    ]
    return kept_lib.run(
      self.kept,
      inputs,
      arrays,
      lambda: effects_lib.run_patched(
        self.target.model, self.cells(drawn, self.means(chunk), first), batch
      ),
    )

  def run_clean(self, prompts: np.ndarray, batch: int) -> effects_lib.Effects:
    """Runs base prompts without a patch, each once."""
    own, back = np.unique(prompts, return_inverse=True)
    found = effects_lib.run_clean(
      self.target.model, self.pairs.tokens[own], self.pairs.length[own], batch
    )
    return found.take(back)

  def vectors(self, drawn: cells_lib.Placed) -> np.ndarray:
    """Captures the vectors of some patches anew, f32[N, D]."""
    width = self.target.config.width
    vectors = np.empty((len(drawn), width), np.float32)
    for chunk, own in self._by_chunk(drawn):
      first = chunk * self.config.chunk
      part = self.cells(drawn.take(own), self.means(chunk), first)
      vectors[own] = part.vector
    return vectors
