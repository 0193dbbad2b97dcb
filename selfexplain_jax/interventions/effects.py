# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Effects: what really happens when cells are patched, batch by batch."""

import collections
from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools

from absl import logging
import jax
import numpy as np

from selfexplain_jax import estimate
from selfexplain_jax import progress
from selfexplain_jax.distributed import axis_rules
from selfexplain_jax.distributed import launches
from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import clean_run
from selfexplain_jax.interventions import patch
from selfexplain_jax.interventions import plan as plan_lib
from selfexplain_jax.interventions import run
from selfexplain_jax.interventions import tail
from selfexplain_jax.models import decoder

# Bytes of clean runs that are kept on a device at a time.
_ROOM = 1 << 30

# How far a margin may move where nothing is changed, but by another program:
# in bfloat16 logits of a size of 20 are rounded to 0.1, several times.
_TOLERANCE = {'float32': 1e-3, 'bfloat16': 1.0}


@dataclasses.dataclass(frozen=True)
class Cells:
  """N cells of one site.

  Attributes:
    tokens: i32[N, T], the prompts, padded on the right.
    length: i32[N], their lengths.
    first: i32[N], first layer patched.
    last: i32[N], last layer patched.
    position: i32[N], absolute position.
    vector: f32[N, D], what replaces the activation there.
    site: the site's name.
  """

  tokens: np.ndarray
  length: np.ndarray
  first: np.ndarray
  last: np.ndarray
  position: np.ndarray
  vector: np.ndarray
  site: str

  def __len__(self) -> int:
    return len(self.tokens)

  def take(self, rows: np.ndarray) -> 'Cells':
    """Returns the cells of some rows."""
    arrays = {
      field.name: getattr(self, field.name)[rows]
      for field in dataclasses.fields(self)
      if field.name != 'site'
    }
    return Cells(**arrays, site=self.site)


@dataclasses.dataclass(frozen=True)
class Effects:
  """What the target says next in N runs.

  Attributes:
    token: i32[N].
    margin: f32[N], its logit minus the runner-up's.
    written: i32[N], cells written.
  """

  token: np.ndarray
  margin: np.ndarray
  written: np.ndarray

  def take(self, rows: np.ndarray) -> 'Effects':
    """Returns the effects of some runs."""
    return Effects(
      *(getattr(self, f.name)[rows] for f in dataclasses.fields(self))
    )


def nothing() -> Effects:
  """Returns the effects of no runs."""
  none = np.empty(0, np.int32)
  return Effects(none, np.empty(0, np.float32), none)


def join(parts: Sequence[Effects]) -> Effects:
  """Joins effects, in order."""
  names = [field.name for field in dataclasses.fields(Effects)]
  return Effects(
    *(np.concatenate([getattr(p, name) for p in parts]) for name in names)
  )


def run_clean(
  model: decoder.Decoder,
  tokens_NxT: np.ndarray,
  length_N: np.ndarray,
  batch: int = 512,
) -> Effects:
  """Runs prompts without a patch."""

  def one(chosen: np.ndarray) -> run.NextToken:
    return run.run(model, tokens_NxT[chosen], length_N[chosen])

  batches = ((one, rows) for rows in _in_rows(len(tokens_NxT), batch))
  count = -(-len(tokens_NxT) // batch)
  return _run(batches, count, len(tokens_NxT), 'batches of prompts')


def run_patched(
  model: decoder.Decoder, cells: Cells, batch: int = 512
) -> Effects:
  """Runs every cell with its patch, in the way that takes less time.

  Raises:
    RuntimeError: if a cell was not written at exactly its layers: then no
      effect of this run means anything.
  """
  if len(cells):
    planned = plan(model, cells, batch)
    more = (planned.programs - 1) * estimate.compiling()
    if planned.operations + more < planned.whole:
      return run_planned(model, cells, planned)
  return run_whole(model, cells, batch)


def plan(
  model: decoder.Decoder,
  cells: Cells,
  batch: int = 512,
  compiling: float | None = None,
) -> plan_lib.Plan:
  """Plans to run cells, at least one, from their layers and positions on.

  Args:
    model: the target.
    cells: the cells.
    batch: cells that are run at once, at most.
    compiling: operations that take as long as compiling a program; those that
      are to be expected of the devices if None.
  """
  prompts, prompt = np.unique(
    np.c_[cells.length, cells.tokens], axis=0, return_inverse=True
  )
  layers, shards = model.config.layers, axis_rules.ways('batch')
  return plan_lib.make(
    *(model.config, prompts[:, 1:], prompts[:, 0], prompt),
    *(tail.start(cells.site, cells.first, layers), cells.position),
    batch=batch,
    shards=shards,
    room=_ROOM * shards,
    compiling=estimate.compiling() if compiling is None else compiling,
    reading=shards * estimate.reading(),
  )


def run_planned(
  model: decoder.Decoder, cells: Cells, planned: plan_lib.Plan
) -> Effects:
  """Runs every cell from its layer and position on.

  Args:
    model: the target.
    cells: the cells.
    planned: what `plan` gave for them.

  Raises:
    RuntimeError: as `run_patched`.
  """
  logging.info('Patching: %s', planned.text)
  shards = axis_rules.ways('batch')
  layers = model.config.layers
  slot = np.full(layers, planned.slots, np.int32)
  slot[list(planned.streams)] = np.arange(len(planned.streams))

  def batches() -> Iterator[tuple[Callable, np.ndarray]]:
    for part in planned.parts:
      some = np.maximum(part.prompts, 0)
      clean = clean_run.run(
        *(model, planned.tokens[some], planned.length[some], slot),
        slots=planned.slots,
        layers=planned.kept,
      )
      for one in part.batches:
        begin, width, place = one.begin, one.width, part.place

        def tail_of(chosen, clean=clean, begin=begin, width=width, place=place):
          return tail.run(
            *(model, clean, place[chosen], _patches(cells.take(chosen))),
            np.int32(begin),
            width=width,
            shards=shards,
          )

        yield tail_of, one.cells

  count = sum(len(part.batches) for part in planned.parts)
  effects = _run(batches(), count, len(cells), 'batches of cells')
  idle = tail.idle(cells.site, cells.last, cells.position, cells.length, layers)
  _require_written(effects.written, cells.last - cells.first + 1 - idle)
  return effects


def run_whole(
  model: decoder.Decoder, cells: Cells, batch: int = 512
) -> Effects:
  """Runs every cell's whole prompt with its patch, whatever work that takes.

  Raises:
    RuntimeError: as `run_patched`.
  """

  def one(chosen: np.ndarray) -> run.NextToken:
    some = cells.take(chosen)
    return run.run(model, some.tokens, some.length, _patches(some))

  batches = ((one, rows) for rows in _in_rows(len(cells), batch))
  count = -(-len(cells) // batch)
  effects = _run(batches, count, len(cells), 'batches of cells')
  _require_written(effects.written, cells.last - cells.first + 1)
  return effects


def _patches(cells: Cells) -> patch.Patches:
  return patch.build(
    cells.site,
    cells.first[:, None],
    cells.last[:, None],
    cells.position[:, None],
    cells.vector[:, None],
  )


def _require_written(written: np.ndarray, asked: np.ndarray) -> None:
  if not np.array_equal(written, asked):
    wrong = int(np.argmax(written != asked))
    raise RuntimeError(
      f'cell {wrong} was written {written[wrong]} times: expected '
      f'{asked[wrong]}, once for each of its layers'
    )


def _in_rows(count: int, batch: int) -> Iterator[np.ndarray]:
  """Yields rows in batches of one size, which -1 fills up."""
  for start in range(0, count, batch):
    rows = np.full(batch, -1)
    rows[: count - start] = np.arange(start, min(start + batch, count))
    yield rows


def _run(
  batches: Iterator[tuple[Callable[[np.ndarray], run.NextToken], np.ndarray]],
  count: int,
  rows: int,
  what: str,
) -> Effects:
  """Runs batches.

  Args:
    batches: what runs each, and its rows; -1 for none.
    count: of batches.
    rows: of all.
    what: they are.

  Raises:
    preemption.Preempted: before the next batch, if the job was asked to leave.
  """
  found = Effects(
    *(np.zeros(rows, dtype) for dtype in (np.int32, np.float32, np.int32))
  )
  under_way = collections.deque[np.ndarray]()

  def calls() -> Iterator[Callable[[], tuple[jax.Array, ...]]]:
    for one, chosen in batches:
      preemption.check()  # A run keeps nothing: all of it is done again.
      under_way.append(chosen)
      # Another row is done twice in place of none.
      filled = np.where(chosen >= 0, chosen, chosen[chosen >= 0][0])
      yield functools.partial(_launch, one, filled)

  made = launches.fetched(calls())
  for values in progress.track(made, count, what):
    chosen = under_way.popleft()
    there = chosen >= 0
    for field, value in zip(dataclasses.fields(Effects), values, strict=True):
      getattr(found, field.name)[chosen[there]] = value[there]
  return found


def _launch(
  one: Callable[[np.ndarray], run.NextToken], chosen: np.ndarray
) -> tuple[jax.Array, ...]:
  made = one(chosen)
  return made.token, made.margin, made.written


def self_patch_canary(
  model: decoder.Decoder, cells: Cells, own_NxLxD: np.ndarray
) -> None:
  """Checks that patching does something, and only what it is told.

  Patching a single layer with the vector that is there anyway must change no
  verdict; patching the last position after the last layer with zeros must
  change the logits.

  Args:
    model: the target.
    cells: cells to take prompts and positions from.
    own_NxLxD: what the prompts themselves have at those positions.

  Raises:
    RuntimeError: if either fails: the patching is broken.
  """
  rows = np.arange(len(cells))
  single = dataclasses.replace(
    cells, last=cells.first, vector=own_NxLxD[rows, cells.first]
  )
  clean = run_clean(model, cells.tokens, cells.length)
  same = run_patched(model, single)
  tolerance = _TOLERANCE[model.config.dtype]
  sure = clean.margin > tolerance
  if np.any(same.token[sure] != clean.token[sure]):
    raise RuntimeError('patching a vector with itself changed an output')
  if np.max(np.abs(same.margin - clean.margin)) > tolerance:
    raise RuntimeError('patching a vector with itself changed a margin')
  layer = np.full(len(cells), model.config.layers - 1, np.int32)
  zeroed = dataclasses.replace(
    cells,
    first=layer,
    last=layer,
    position=cells.length - 1,
    vector=np.zeros_like(cells.vector),
  )
  if np.any(run_patched(model, zeroed).margin == clean.margin):
    raise RuntimeError('patching with zeros changed nothing')
