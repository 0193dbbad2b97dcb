# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the explanation set of activation patching (method A.2).

Pairs of prompts ask the same of two different people. The counterfactual
prompt's activations, averaged over a block of layers, replace the base prompt's
at one position and all layers of the block; what the target then says is the
effect.
"""

import dataclasses
from typing import Any

from absl import logging
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.models import decoder
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import patching

SPLITS = ('train', 'validation', 'test')
_CANARY_CELLS = 64
# Verdicts whose margins are below this are run again in another batch shape.
_NARROW = 1e-2


@dataclasses.dataclass(frozen=True)
class Maker:
  """Everything that cells are made from.

  Attributes:
    model: the target.
    tokenizer: its tokenizer.
    prompts: N prompts.
    activations: f32[N, Q, L, D], the prompts' own at their Q position kinds.
    site: the site of the activations.
    blocks: the layer blocks.
  """

  model: decoder.Decoder
  tokenizer: tokenizer_lib.Tokenizer
  prompts: prompts_lib.Prompts
  activations: np.ndarray
  site: str
  blocks: tuple[cells_lib.Block, ...]

  def cells(self, drawn: cells_lib.Drawn) -> effects_lib.Cells:
    """Returns the patches of drawn cells."""
    tokens, lengths = self.prompts.padded()
    positions = np.stack(list(self.prompts.positions.values()), 1)
    bounds = np.array(self.blocks, np.int32)
    vectors = np.empty((len(drawn), self.activations.shape[-1]), np.float32)
    for index, (first, last) in enumerate(self.blocks):
      here = drawn.block == index
      taken = self.activations[drawn.counterfactual[here], drawn.kind[here]]
      vectors[here] = taken[:, first : last + 1].mean(1, dtype=np.float32)
    return effects_lib.Cells(
      tokens=tokens[drawn.base],
      length=lengths[drawn.base],
      first=bounds[drawn.block, 0],
      last=bounds[drawn.block, 1],
      position=positions[drawn.base, drawn.kind],
      vector=vectors,
      site=self.site,
    )


def load_activations(
  store: reader.Store, site: str, prompts: prompts_lib.Prompts, layers: int
) -> np.ndarray:
  """Reads the store that `activations.dump` made of prompts.

  Args:
    store: the store.
    site: the site.
    prompts: the N prompts, with Q position kinds.
    layers: of the target, L.

  Returns:
    f32[N, Q, L, D].

  Raises:
    errors.InputError: if the store is not of these prompts at all layers.
  """
  spec = store.manifest.spec
  for what, found, expected in (
    ('sites', site in spec.layered, f'a layered {site} among them'),
    ('layers', spec.layers == tuple(range(layers)), f'all {layers} layers'),
    ('dtype', spec.dtype == 'float32', 'float32'),
  ):
    if not found:
      raise errors.InputError(
        f'activation store: {what} is {getattr(spec, what)}: expected '
        f'{expected}'
      )
  tokens, _ = prompts.padded()
  positions = np.stack(list(prompts.positions.values()), 1)
  read = np.take_along_axis(tokens, positions, 1).reshape(-1)
  if not np.array_equal(store.read('token_id', 0, store.rows), read):
    raise errors.InputError(
      f'activation store: its {store.rows} tokens are not those of the '
      f'{len(prompts)} prompts beside it: expected both from one dump'
    )
  rows = store.read(site, 0, store.rows)
  return rows.reshape(*positions.shape, *rows.shape[1:])


def make(
  maker: Maker, config: ml_collections.ConfigDict
) -> tuple[list[dict[str, Any]], np.ndarray, dict[str, Any]]:
  """Makes records, their vectors and the notes for the manifest.

  Args:
    maker: what cells are made from.
    config: `seed`; `quota.SPLIT`, for each split the most cells of a verdict
      in each (position kind, block); `rounds`, how often cells are drawn for
      those whose quota is not reached; `floor`, shares of the quota, see
      `cells.balance`; `require_right`, whether prompts that the target answers
      wrong are left out.

  Returns:
    Records with the columns of `explanations.SCHEMA`, f32[R, D] vectors, and
    counts of all that was left out.

  Raises:
    errors.InputError: if a split has no cells.
  """
  tokens, lengths = maker.prompts.padded()
  clean = effects_lib.run_clean(maker.model, tokens, lengths)
  right = (maker.prompts.answer < 0) | (clean.token == maker.prompts.answer)
  usable = maker.prompts.known & (right | (not config.require_right))
  # Two prompts may be paired if the right answers differ; where none is right,
  # if the target's do.
  value = np.where(maker.prompts.answer < 0, clean.token, maker.prompts.answer)
  notes: dict[str, Any] = {
    'prompts': len(maker.prompts),
    'prompts_not_known': int(np.sum(~maker.prompts.known)),
    'prompts_answered_wrong': int(np.sum(maker.prompts.known & ~right)),
    'blocks': [list(block) for block in maker.blocks],
    'splits': {},
  }
  _canary(maker, np.flatnonzero(usable), value, config.seed)

  records: list[dict[str, Any]] = []
  vectors: list[np.ndarray] = []
  for split in SPLITS:
    of_split = np.array([s == split for s in maker.prompts.split])
    made = _make_split(
      maker, np.flatnonzero(usable & of_split), clean, value, config, split
    )
    records.extend(made[0])
    vectors.append(made[1])
    notes['splits'][split] = made[2]
    logging.info('Cells of split %s: %s', split, _summary(made[2]))
  return records, np.concatenate(vectors), notes


def _summary(notes: dict[str, Any]) -> str:
  return ', '.join(
    f'{name} {value}' for name, value in notes.items() if name != 'kept_by_cell'
  )


def _canary(maker, usable, value, seed) -> None:
  """Runs the canaries on some cells of this very target and store."""
  shape = (len(maker.prompts.positions), len(maker.blocks))
  wanted = np.ones(shape, np.int64) * 2
  if not len(usable):
    return
  drawn = cells_lib.draw(maker.prompts, usable, value, wanted, seed, 'canary')
  drawn = drawn.take(np.arange(min(_CANARY_CELLS, len(drawn))))
  if len(drawn):
    own = maker.activations[drawn.base, drawn.kind]
    effects_lib.self_patch_canary(maker.model, maker.cells(drawn), own)


def _make_split(maker, usable, clean, value, config, split):
  """Draws, runs, checks and balances the cells of one split.

  Raises:
    errors.InputError: if there are none.
  """
  shape = (len(maker.prompts.positions), len(maker.blocks))
  quota = config.quota[split]
  wanted = np.full(shape, 2 * quota, np.int64)
  drawn = cells_lib.nothing()
  token, margin = np.empty(0, np.int32), np.empty(0, np.float32)
  for round_ in range(config.rounds if len(usable) else 0):
    # Cells of earlier rounds come first in the join, and are not run again.
    more = cells_lib.draw(
      maker.prompts,
      usable,
      value,
      wanted,
      config.seed,
      f'{split}/{round_}',
    )
    joined = cells_lib.join([drawn, more])
    if len(joined) == len(drawn):
      break
    new = maker.cells(joined.take(np.arange(len(drawn), len(joined))))
    shown = effects_lib.run_patched(maker.model, new)
    drawn = joined
    token = np.concatenate([token, shown.token])
    margin = np.concatenate([margin, shown.margin])
    changed = token != clean.token[drawn.base]
    verdicts = np.zeros((*shape, 2), np.int64)
    np.add.at(verdicts, (drawn.kind, drawn.block, changed.astype(int)), 1)
    lacking = verdicts.min(-1) < quota
    hopeful = verdicts.min(-1) > 0
    wanted = np.where(lacking & hopeful, 8 * quota, 0)
  if not len(drawn):
    raise errors.InputError(
      f'no cells of split {split}: expected prompts of different answers, and '
      f'of {len(maker.prompts)} there are {len(usable)} that may be used'
    )

  cells = maker.cells(drawn)
  narrow = (margin < _NARROW) | (clean.margin[drawn.base] < _NARROW)
  unstable = _unstable(maker, cells, token, clean.token[drawn.base], narrow)
  steady = np.flatnonzero(~unstable)
  kept = cells_lib.balance(
    drawn.take(steady),
    changed[steady],
    shape,
    quota,
    (
      round(config.floor.unchanged * quota),
      round(config.floor.changed * quota),
    ),
  )
  rows = steady[kept.rows]
  order = np.random.default_rng([config.seed, len(rows)]).permutation(len(rows))
  rows = rows[order]
  records = _records(maker, drawn, rows, clean, token, margin, kept, split)
  kinds = list(maker.prompts.positions)
  notes = {
    'drawn': len(drawn),
    'changed_share_drawn': float(np.mean(changed)),
    'run_again': int(np.sum(narrow)),
    'dropped_unstable': int(np.sum(unstable)),
    'kept': len(rows),
    'kept_changed': int(np.sum(changed[rows])),
    'kept_in_balanced_cells': int(sum(r['balanced'] for r in records)),
    'kept_by_cell': {
      f'{kinds[k]} {patching.layers_text(*maker.blocks[b])}': {
        'unchanged': int(kept.counts[k, b, 0]),
        'changed': int(kept.counts[k, b, 1]),
      }
      for k in range(shape[0])
      for b in range(shape[1])
    },
  }
  return records, cells.vector[rows], notes


def _unstable(maker, cells, token, clean, narrow) -> np.ndarray:
  """Which verdicts do not hold when a narrow cell is run in another batch."""
  unstable = np.zeros(len(cells), bool)
  rows = np.flatnonzero(narrow)
  if len(rows):
    some = cells.take(rows)
    again = effects_lib.run_patched(maker.model, some, batch=96)
    before = effects_lib.run_clean(
      maker.model, some.tokens, some.length, batch=96
    )
    unstable[rows] = (again.token != token[rows]) | (
      before.token != clean[rows]
    )
  return unstable


def _records(maker, drawn, rows, clean, token, margin, kept, split):
  """Renders the kept cells as records."""
  prompts, tokenizer = maker.prompts, maker.tokenizer
  kinds = list(prompts.positions)
  records = []
  for row in rows.tolist():
    base, other = int(drawn.base[row]), int(drawn.counterfactual[row])
    kind, block = int(drawn.kind[row]), int(drawn.block[row])
    ids = list(prompts.ids[base])
    position = int(prompts.positions[kinds[kind]][base])
    record = {
      'task': patching.NAME,
      'split': split,
      'group': prompts.group[base],
      'counterfactual_group': prompts.group[other],
      'prompt_kind': prompts.kind[base],
      'position_kind': kinds[kind],
      'site': maker.site,
      'first_layer': maker.blocks[block][0],
      'last_layer': maker.blocks[block][1],
      'position': position,
      'prompt_ids': ids,
      'text': prompts.text[base],
      'before': tokenizer.decode(ids[1:position]),
      'token_text': tokenizer.decode([ids[position]]),
      'after': tokenizer.decode(ids[position + 1 :]),
      'counterfactual_text': prompts.text[other],
      'clean_id': int(clean.token[base]),
      'patched_id': int(token[row]),
      'clean_token': tokenizer.token(int(clean.token[base])),
      'patched_token': tokenizer.token(int(token[row])),
      'clean_margin': float(clean.margin[base]),
      'patched_margin': float(margin[row]),
      'changed': bool(token[row] != clean.token[base]),
      'balanced': bool(kept.balanced[kind, block]),
    }
    record['answer'] = patching.answer(record)
    records.append(record)
  return records
