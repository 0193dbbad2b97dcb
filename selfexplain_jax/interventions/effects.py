# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Effects: what really happens when cells are patched, batch by batch."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from selfexplain_jax import progress
from selfexplain_jax.distributed import hosts
from selfexplain_jax.distributed import preemption
from selfexplain_jax.interventions import patch
from selfexplain_jax.interventions import run
from selfexplain_jax.models import decoder

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
  rows = np.arange(len(tokens_NxT))
  return _in_batches(
    lambda chosen: run.run(model, tokens_NxT[chosen], length_N[chosen]),
    rows,
    batch,
    'batches of prompts',
  )


def run_patched(
  model: decoder.Decoder, cells: Cells, batch: int = 512
) -> Effects:
  """Runs every cell with its patch.

  Raises:
    RuntimeError: if a cell was not written at exactly its layers: then no
      effect of this run means anything.
  """

  def one(chosen: np.ndarray) -> run.NextToken:
    some = cells.take(chosen)
    patches = patch.build(
      some.site,
      some.first[:, None],
      some.last[:, None],
      some.position[:, None],
      some.vector[:, None],
    )
    return run.run(model, some.tokens, some.length, patches)

  rows = np.arange(len(cells))
  effects = _in_batches(one, rows, batch, 'batches of cells')
  asked = cells.last - cells.first + 1
  if not np.array_equal(effects.written, asked):
    wrong = int(np.argmax(effects.written != asked))
    raise RuntimeError(
      f'cell {wrong} was written {effects.written[wrong]} times: expected '
      f'{asked[wrong]}, once for each of its layers'
    )
  return effects


def _in_batches(one, rows: np.ndarray, batch: int, what: str) -> Effects:
  """Runs rows in batches of one shape, one batch ahead of the reading.

  Raises:
    preemption.Preempted: before the next batch, if the job was asked to leave.
  """
  found: list[Effects] = []
  starts = range(0, len(rows), batch)
  pending = None
  for start in progress.track([*starts, None], len(starts) + 1, what):
    preemption.check()  # A run keeps nothing: all of it is done again.
    running = None
    if start is not None:
      chosen = rows[start : start + batch]
      running = (one(np.resize(chosen, batch)), len(chosen))
    if pending is not None:
      found.append(_read(*pending))
    pending = running
  return join(found)


def _read(made: run.NextToken, count: int) -> Effects:
  """Waits for a batch and drops the rows that filled it up."""
  token, margin, written = hosts.fetch((made.token, made.margin, made.written))
  return Effects(token[:count], margin[:count], written[:count])


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
