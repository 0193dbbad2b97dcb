# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The least work that patched runs take, and batches that come close to it.

A patch leaves what is before its layer, and at positions before its own, as in
the clean run of its prompt. So prompts are run once, and each cell from its
layer and position on (`tail`). Batches are of one size; of cells in an order in
which neighbours begin at nearly the same layer and position, each batch begins
with the first of its own. Large batches have cells of several layers: they are
filled with fewer positions that way.
"""

from collections.abc import Sequence
import dataclasses
import itertools
from typing import Any

import numpy as np

from selfexplain_jax.interventions import clean_run
from selfexplain_jax.models import config as config_lib
from selfexplain_jax.models import flops

_TOGETHER = (1, 2, 3, 4, 6, 8)  # Layers whose cells share batches.


@dataclasses.dataclass(frozen=True)
class Batch:
  """Cells that are run at once.

  Attributes:
    begin: the layer from which they are.
    width: the positions from the end on that are.
    cells: i64[B], which; -1 for none, which fills a batch up.
  """

  begin: int
  width: int
  cells: np.ndarray


@dataclasses.dataclass(frozen=True)
class Part:
  """Prompts whose clean run is kept at a time, and their cells.

  Attributes:
    prompts: i64[N], which; of each device the same number, one device's after
      the other's. -1 for none, which fills up.
    place: i32[M], where among the prompts of its device that of a cell is; for
      all cells, of which those of this part alone mean anything.
    batches: their cells.
  """

  prompts: np.ndarray
  place: np.ndarray
  batches: tuple[Batch, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
  """How cells are run.

  Attributes:
    tokens: i32[N, T], the prompts that cells are of, each once.
    length: i32[N], their lengths.
    parts: one after the other.
    streams: layers from which cells are run, in order: the stream before them
      is kept.
    kept: layers, from the last one back, whose keys and values are kept.
    bytes: kept at a time, on all devices together.
    operations: of matrix products, the clean runs among them.
    needed: that no program can do without: of each cell the layers after its
      patch, at the positions from its own on; in the last layer keys and values
      there, and all else at the last position; and one row of logits.
    whole: that running every cell from its beginning takes.
    programs: that have to be compiled.
  """

  tokens: np.ndarray
  length: np.ndarray
  parts: tuple[Part, ...]
  streams: tuple[int, ...]
  kept: int
  bytes: int
  operations: float
  needed: float
  whole: float
  programs: int

  @property
  def slots(self) -> int:
    """Streams that there is room for: no array is empty."""
    return max(1, len(self.streams))

  @property
  def text(self) -> str:
    """The plan in one line."""
    cells = sum(np.sum(b.cells >= 0) for p in self.parts for b in p.batches)
    return (
      f'{cells} cells of {len(self.tokens)} prompts: '
      f'{self.needed / 1e12:.3g} TFLOP needed, '
      f'{self.operations / 1e12:.3g} planned, {self.whole / 1e12:.3g} without '
      f'a plan; {self.bytes / 1e9:.3g} GB of clean runs kept at a time'
    )


def make(
  config: config_lib.DecoderConfig,
  tokens_NxT: np.ndarray,
  length_N: np.ndarray,
  prompt_M: np.ndarray,
  begin_M: np.ndarray,
  position_M: np.ndarray,
  *,
  batch: int,
  shards: int,
  room: int,
  compiling: float,
  reading: float,
) -> Plan:
  """Plans the runs of M cells, at least one, of N prompts.

  Args:
    config: of the model.
    tokens_NxT: the prompts, padded on the right.
    length_N: tokens of each.
    prompt_M: which prompt each cell is of.
    begin_M: layer from which each cell is to be run; the number of layers for
      none.
    position_M: position of its patch.
    batch: cells that are run at once, at most.
    shards: devices that these are split over.
    room: bytes that may be kept of clean runs at a time, on all devices.
    compiling: operations that take as long as compiling a program does.
    reading: tokens, of all devices, that take as long to work on as reading
      the weights that work on them does.
  """
  work = _Work(config, compiling, reading)
  padded = tokens_NxT.shape[1]
  # A patch that is outside its prompt is noticed when none is written.
  width_M = np.maximum(length_N[prompt_M] - position_M, 1)
  streams = np.unique(begin_M[begin_M < config.layers]).tolist()
  kept = config.layers - min([*streams, config.layers - 1])
  one = clean_run.kept_bytes(config, padded, max(1, len(streams)), kept)
  used = np.unique(prompt_M)
  most = min(room // one // shards, -(-len(used) // shards))
  most = max(1, most) * shards
  dealt, cells = list[Any](), list[Any]()
  for start in range(0, len(used), most):
    place, prompts = _deal(used[start : start + most], prompt_M, most, shards)
    cells.append([np.flatnonzero(place[0] == s) for s in range(shards)])
    dealt.append((prompts, place[1]))

  tried = list[_Cut]()
  for together in _TOGETHER:
    rank_M = _rank(begin_M, width_M, together)
    ordered = [
      [own[np.argsort(rank_M[own], kind='stable')] for own in some]
      for some in cells
    ]
    # Cells of more layers fill larger batches, not much smaller ones.
    least = _cheapest(tried).rows // 4 if tried else 1
    tried += [
      _Cut(
        work,
        [_cut(some, rank_M, rows) for some in ordered],
        *(begin_M, width_M, padded),
        rows,
      )
      for rows in _rows(batch // shards)
      if rows >= least
    ]
  cut = _cheapest(tried)
  parts = [
    Part(prompts, place, batches)
    for (prompts, place), batches in zip(dealt, cut.batches(), strict=True)
  ]
  clean = work.tail(most, 0, padded, padded) - work.logits(most)
  whole = flops.blocks(config, len(prompt_M), padded, causal=False)
  return Plan(
    tokens=tokens_NxT,
    length=length_N,
    parts=tuple(parts),
    streams=tuple(streams),
    kept=kept,
    bytes=most * one,
    operations=cut.operations + len(parts) * clean,
    needed=work.least(begin_M, width_M, length_N[prompt_M]),
    whole=whole + work.logits(len(prompt_M)),
    programs=1 + len(np.unique(cut.width)),
  )


@dataclasses.dataclass(frozen=True)
class _Work:
  """Operations of matrix products of parts of a run.

  Attributes:
    config: of the model.
    compiling: see `make`.
    reading_tokens: see `make`.
  """

  config: config_lib.DecoderConfig
  compiling: float
  reading_tokens: float

  @property
  def _token(self) -> float:
    """Of a token in a layer, attention apart."""
    config = self.config
    weights = config.weights - config.vocabulary * config.width
    return 2.0 * weights / config.layers

  @property
  def _key(self) -> float:
    """Of a token's key and value in a layer."""
    return (
      4.0 * self.config.width * self.config.kv_heads * self.config.head_width
    )

  @property
  def _pair(self) -> float:
    """Of a query with a key."""
    return 4.0 * self.config.heads * self.config.head_width

  def logits(self, rows: float) -> float:
    return flops.logits(self.config, rows)

  def _run(self, begin: Any, width: Any, pairs: Any, last_pairs: Any) -> Any:
    """Of a row from a layer on, see `Plan.needed`."""
    last = self.config.layers - 1
    before = np.maximum(last - begin, 0)
    row = before * (width * self._token + pairs * self._pair)
    row += (begin <= last) * (
      width * self._key + self._token - self._key + last_pairs * self._pair
    )
    return row + self.logits(1)

  def tail(self, rows: int, begin: Any, width: Any, keys: Any) -> Any:
    """Of rows as `tail.run` or `clean_run.run` runs them."""
    return rows * self._run(begin, width, width * keys, keys)

  def least(self, begin: Any, width: Any, length: Any) -> float:
    """Of cells one by one: a query meets the keys up to its own position."""
    pairs = width * (2 * length - width + 1) / 2
    return float(np.sum(self._run(begin, width, pairs, length)))

  def reading(self, begin: Any) -> Any:
    """What takes as long as reading the weights of a batch does."""
    layers = self.config.layers - begin
    return self.reading_tokens * (layers * self._token + self.logits(1))


def _deal(
  used: np.ndarray, prompt_M: np.ndarray, most: int, shards: int
) -> tuple[np.ndarray, np.ndarray]:
  """Deals prompts out to devices, those with most cells first.

  Returns:
    i32[2, M], the device of each cell (-1 for none of these) and the place of
    its prompt there; and i64[most], the prompts of the devices, see `Part`.
  """
  count = np.bincount(prompt_M, minlength=used.max() + 1)
  dealt = used[np.argsort(-count[used], kind='stable')]
  table = np.full((2, len(count)), -1, np.int32)
  table[:, dealt] = (
    np.arange(len(dealt)) % shards,
    np.arange(len(dealt)) // shards,
  )
  prompts = np.full((most // shards, shards), -1)
  prompts.flat[: len(dealt)] = dealt
  return table[:, prompt_M], prompts.T.reshape(-1)


def _rank(
  begin_M: np.ndarray, width_M: np.ndarray, together: int
) -> np.ndarray:
  """Numbers in whose order neighbours begin nearly alike, i64[M].

  By layers, so many `together`, and within them by positions, to and fro.
  """
  layers = begin_M.astype(np.int64) // together
  span = int(width_M.max()) + 1
  return layers * span + np.where(layers % 2, width_M, span - 1 - width_M)


class _Cut:
  """Cells of all parts, cut into batches of one size.

  Attributes:
    rows: of a device's part of a batch.
    begin: of each batch, the layer.
    width: of each, the positions.
    operations: that all take.
    cost: the same with what takes time besides.
  """

  def __init__(
    self,
    work: _Work,
    parts: Sequence[np.ndarray],
    begin_M: np.ndarray,
    width_M: np.ndarray,
    padded: int,
    rows: int,
  ):
    self.rows = rows
    self._counts = [len(part) for part in parts]
    self._cells = np.concatenate(parts)
    batch, there = self._cells.shape[1], self._cells >= 0
    begin = np.where(there, begin_M[self._cells], work.config.layers)
    width = np.where(there, width_M[self._cells], 1)
    self.begin, self.width = begin.min(1), width.max(1)

    # What a batch takes is linear in its positions.
    one, two = (work.tail(batch, self.begin, n, padded) for n in (1, 2))
    sizes, index = np.unique(self.width, return_inverse=True)
    slope = np.bincount(index, two - one).tolist()
    widths = sizes.tolist()
    # Batches of few more positions need no program of their own.
    while len(widths) > 1:
      more = [
        (after - before) * each
        for (before, after), each in zip(
          itertools.pairwise(widths), slope, strict=False
        )
      ]
      least = int(np.argmin(more))
      if more[least] >= work.compiling:
        break
      gone = slope.pop(least)
      slope[least] += gone
      widths.pop(least)
    self.width = np.array(widths)[np.searchsorted(widths, self.width)]
    self.operations = float(np.sum(one + (self.width - 1) * (two - one)))
    self.cost = (
      self.operations
      + float(np.sum(work.reading(self.begin)))
      + len(widths) * work.compiling
    )

  def batches(self) -> list[tuple[Batch, ...]]:
    """The batches of each part."""
    each = zip(
      self.begin.tolist(), self.width.tolist(), self._cells, strict=True
    )
    made = [Batch(*one) for one in each]
    ends = np.cumsum([0, *self._counts]).tolist()
    return [tuple(made[a:b]) for a, b in itertools.pairwise(ends)]


def _cheapest(cuts: Sequence[_Cut]) -> _Cut:
  return min(cuts, key=lambda cut: cut.cost)


def _rows(most: int) -> list[int]:
  """Rows of a device's part of a batch: powers of two, and halfway between."""
  powers = [2**n for n in range(max(most, 1).bit_length())]
  return sorted(
    {r for p in powers for r in (p, 3 * p // 2) if r <= max(most, 1)}
  )


def _cut(
  cells: Sequence[np.ndarray], rank_M: np.ndarray, rows: int
) -> np.ndarray:
  """Cuts the cells of each device into batches of all.

  A batch ends where any device has its part of it full, so that devices never
  drift apart: else each would have to begin where the others do.

  Args:
    cells: of each device, in the order of `rank_M`.
    rank_M: see `_rank`.
    rows: of a device's part of a batch.

  Returns:
    i64[batches, devices * rows], see `Batch.cells`.
  """
  if len(cells) == 1:
    filled = np.full(-(-len(cells[0]) // rows) * rows, -1)
    filled[: len(cells[0])] = cells[0]
    return filled.reshape(-1, rows)
  order = [rank_M[own] for own in cells]
  made, at = list[np.ndarray](), [0] * len(cells)
  while True:
    full = [
      o[a + rows - 1]
      for o, a in zip(order, at, strict=True)
      if len(o) >= a + rows
    ]
    end = min(full, default=np.inf)
    batch = np.full((len(cells), rows), -1)
    for device, (own, ranks) in enumerate(zip(cells, order, strict=True)):
      start = at[device]
      at[device] = min(int(np.searchsorted(ranks, end, 'right')), start + rows)
      batch[device, : at[device] - start] = own[start : at[device]]
    if np.all(batch < 0):
      return np.array(made)
    made.append(batch.reshape(-1))
