# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Which cells are asked about: drawing them, and balancing what they showed."""

from collections.abc import Sequence
import dataclasses
from typing import Self
import zlib

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib


@dataclasses.dataclass(frozen=True)
class Drawn:
  """N cells, as indices into prompts, position kinds and blocks.

  Attributes:
    base: i64[N], the prompt that is patched.
    counterfactual: i64[N], the prompt that the vector comes from.
    kind: i64[N], index of the position kind.
    block: i64[N], index of the layer block.
  """

  base: np.ndarray
  counterfactual: np.ndarray
  kind: np.ndarray
  block: np.ndarray

  def __len__(self) -> int:
    return len(self.base)

  def take(self, rows: np.ndarray) -> Self:
    """Returns the cells of some rows."""
    return type(self)(
      *(getattr(self, f.name)[rows] for f in dataclasses.fields(self))
    )


@dataclasses.dataclass(frozen=True)
class Placed(Drawn):
  """Cells of which a prompt has several of one kind.

  Attributes:
    position: i64[N], absolute, in the prompt that is patched.
  """

  position: np.ndarray


def nothing() -> Drawn:
  """Returns no cells."""
  return Drawn(*(np.empty(0, np.int64) for _ in range(4)))


def join(parts: Sequence[Drawn]) -> Drawn:
  """Joins draws, in order, without the cells that were drawn before."""
  # Those of nothing say nothing of what kind the others are.
  parts = [part for part in parts if len(part)] or [nothing()]
  kind = type(parts[0])
  fields = [f.name for f in dataclasses.fields(kind)]
  joined = kind(
    *(np.concatenate([getattr(p, name) for p in parts]) for name in fields)
  )
  table = np.stack([getattr(joined, name) for name in fields], 1)
  _, first = np.unique(table, axis=0, return_index=True)
  return joined.take(np.sort(first))


def draw(
  prompts: prompts_lib.Prompts,
  usable: np.ndarray,
  value: np.ndarray,
  wanted: np.ndarray,
  seed: int,
  purpose: str,
) -> Drawn:
  """Draws pairs of prompts for each (position kind, layer block).

  A pair is of one prompt kind and has different values. Pairs whose vector is
  the base's own, because the prompts are equal up to there, are left out.

  Args:
    prompts: N prompts.
    usable: i64[M], the prompts to draw from.
    value: i32[N], what each prompt asks for, as a token.
    wanted: i64[kinds, blocks], pairs to draw; a few less are returned.
    seed: the draw's seed.
    purpose: what the draw is for; another purpose gives another draw.
  """
  rng = np.random.default_rng([seed, zlib.crc32(purpose.encode())])
  by_kind: dict[str, list[int]] = {}
  for prompt in usable.tolist():
    by_kind.setdefault(prompts.kind[prompt], []).append(prompt)
  members = {kind: np.array(rows) for kind, rows in by_kind.items()}
  tokens, _ = prompts.padded()
  positions = np.stack(list(prompts.positions.values()), 1)

  kind, block = (
    np.repeat(axis.reshape(-1), wanted.reshape(-1))
    for axis in np.indices(wanted.shape)
  )
  base = rng.choice(usable, len(kind))
  counterfactual = np.empty_like(base)
  for prompt_kind, rows in members.items():
    here = np.flatnonzero([prompts.kind[b] == prompt_kind for b in base])
    counterfactual[here] = rng.choice(rows, len(here))
  place = positions[base, kind]
  before = np.arange(tokens.shape[1])[None] <= place[:, None]
  differs = np.any((tokens[base] != tokens[counterfactual]) & before, 1)
  keep = differs & (value[base] != value[counterfactual])
  return Drawn(base, counterfactual, kind, block).take(np.flatnonzero(keep))


@dataclasses.dataclass(frozen=True)
class Balance:
  """What was kept of the drawn cells.

  Attributes:
    rows: i64[K], the cells kept, ascending.
    balanced: bool[kinds, blocks], where as many changed as unchanged are kept.
    counts: i64[kinds, blocks, 2], unchanged and changed cells kept.
  """

  rows: np.ndarray
  balanced: np.ndarray
  counts: np.ndarray


def balance(
  drawn: Drawn,
  changed: np.ndarray,
  shape: tuple[int, int],
  quota: int,
  floor: tuple[int, int],
) -> Balance:
  """Keeps as many changed as unchanged cells in each (kind, block).

  Where one verdict is too rare, all of it is kept and as many of the other, but
  never less than its `floor`: there the cells stay unbalanced, so that an
  explainer also learns where nothing ever happens, and where always something.

  Args:
    drawn: the cells, in the order in which they are preferred.
    changed: bool[N], what patching showed.
    shape: numbers of position kinds and of blocks.
    quota: most cells of either verdict in each (kind, block).
    floor: see above; of unchanged and of changed cells.
  """
  kept: list[np.ndarray] = []
  counts = np.zeros((*shape, 2), np.int64)
  cell = drawn.kind * shape[1] + drawn.block
  for index in range(shape[0] * shape[1]):
    both = [
      np.flatnonzero((cell == index) & (changed == verdict))
      for verdict in (False, True)
    ]
    even = min(quota, *(len(rows) for rows in both))
    for verdict, rows in enumerate(both):
      rows = rows[: max(even, min(floor[verdict], len(rows)))]
      kept.append(rows)
      counts[index // shape[1], index % shape[1], verdict] = len(rows)
  balanced = (counts[..., 0] == counts[..., 1]) & (counts[..., 0] > 0)
  return Balance(np.sort(np.concatenate(kept)), balanced, counts)
