# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the explanation set of activation patching (method A.2).

Pairs of prompts ask the same of two different people. The counterfactual
prompt's activations, averaged over a block of layers, replace the base prompt's
at one position and all layers of the block; what the target then says is the
effect.
"""

import dataclasses
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.activations import reader
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

_CANARY_CELLS = 64
# About what a record takes on disk besides its vector.
_BYTES_PER_RECORD = 200


@dataclasses.dataclass(frozen=True)
class Patches:
  """The patches of one target that can be made: `sampling.Treatments`.

  Attributes:
    target: the target.
    prompts: N prompts.
    activations: f32[N, Q, L, D], the prompts' own at their Q position kinds.
    value: i32[N], what each asks for, as a token: two prompts are paired if it
      differs.
    config: `seed`, `site` and `blocks`, the layer blocks.
  """

  target: target_lib.Target
  prompts: prompts_lib.Prompts
  activations: np.ndarray
  value: np.ndarray
  config: ml_collections.ConfigDict

  @property
  def places(self) -> tuple[str, ...]:
    return tuple(self.prompts.positions)

  @property
  def kinds(self) -> tuple[str, ...]:
    return tuple(patching.layers_text(*block) for block in self.config.blocks)

  def draw(
    self, usable: np.ndarray, wanted: np.ndarray, purpose: str
  ) -> cells_lib.Drawn:
    """Draws pairs of prompts for each (position kind, layer block)."""
    return cells_lib.draw(
      self.prompts, usable, self.value, wanted, self.config.seed, purpose
    )

  def cells(self, drawn: cells_lib.Drawn) -> effects_lib.Cells:
    """Returns the patches of drawn cells."""
    tokens, lengths = self.prompts.padded()
    positions = np.stack(list(self.prompts.positions.values()), 1)
    bounds = np.array(self.config.blocks, np.int32)
    vectors = np.empty((len(drawn), self.activations.shape[-1]), np.float32)
    for index, (first, last) in enumerate(self.config.blocks):
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
      site=self.config.site,
    )

  def run(self, drawn: cells_lib.Drawn, batch: int) -> effects_lib.Effects:
    """Runs the patches."""
    return effects_lib.run_patched(self.target.model, self.cells(drawn), batch)

  def run_clean(self, prompts: np.ndarray, batch: int) -> effects_lib.Effects:
    """Runs prompts without a patch."""
    tokens, lengths = self.prompts.padded()
    return effects_lib.run_clean(
      self.target.model, tokens[prompts], lengths[prompts], batch
    )


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes patching sets from prompts and their activations.

  Attributes:
    target: the target.
    prompts: N prompts.
    activations: f32[N, Q, L, D], the prompts' own at their Q position kinds.
    config: of `sampling.sample`; and `require_right`, whether prompts that the
      target answers wrong are left out, `site` and `blocks`.
  """

  target: target_lib.Target
  prompts: prompts_lib.Prompts
  activations: np.ndarray
  config: ml_collections.ConfigDict

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    config, shape = self.config, self.target.config
    cells = len(self.prompts.positions) * len(config.blocks)
    records = 2 * cells * sum(config.quota.values())
    # Twice the quota is drawn at first, and in later rounds 8 times as much.
    runs = cells * sum(config.quota.values()) * (8 * config.rounds - 6)
    tokens = runs * max(len(ids) for ids in self.prompts.ids)
    gigabytes = records * (4 * shape.width + _BYTES_PER_RECORD) / 1e9
    minutes = self.target.minutes(tokens)
    return (
      f'{cells} kinds of cells; at most {records} records, {gigabytes:.3f} GB, '
      f'roughly {minutes:.1f} minutes'
    )

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Makes the records.

    Raises:
      errors.InputError: if a split has no cells.
    """
    del kept  # It does not take long.
    asked = self.prompts
    tokens, lengths = asked.padded()
    clean = effects_lib.run_clean(self.target.model, tokens, lengths)
    right = (asked.answer < 0) | (clean.token == asked.answer)
    usable = asked.known & (right | (not self.config.require_right))
    # Two prompts may be paired if the right answers differ; where none is
    # right, if the target's do.
    value = np.where(asked.answer < 0, clean.token, asked.answer)
    patches = Patches(self.target, asked, self.activations, value, self.config)
    _canary(patches, np.flatnonzero(usable))

    records: list[dict[str, Any]] = []
    vectors: list[np.ndarray] = []
    notes: dict[str, Any] = {
      'prompts': len(asked),
      'prompts_not_known': int(np.sum(~asked.known)),
      'prompts_answered_wrong': int(np.sum(asked.known & ~right)),
      'splits': {},
    }
    for split in sampling.SPLITS:
      of_split = np.array([s == split for s in asked.split])
      made = sampling.sample(
        patches, clean, np.flatnonzero(usable & of_split), self.config, split
      )
      records.extend(_records(patches, made, clean, split, len(records)))
      vectors.append(patches.cells(made.drawn).vector)
      notes['splits'][split] = made.notes
    return task.Made(records, np.concatenate(vectors), notes)


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks what patching sets are made from.

  Args:
    target: the target.
    config: of the explanation set; `store` names the target's activations.

  Raises:
    errors.InputError: if the store is of another model, or not as needed.
  """
  sampling.check(config)
  prompts = prompts_lib.read(config.store)
  if not prompts.positions:
    raise errors.InputError(
      f'{config.store} has no position kinds: expected a store of prompts that '
      'can be patched, not of documents'
    )
  store = reader.open_store(config.store)
  spec, layers = store.manifest.spec, target.config.layers
  if spec.weight_hash != target.weight_hash:
    raise errors.InputError(
      f'{config.store} holds activations of another model than '
      f'{target.directory}: expected weight_hash {target.weight_hash[:12]}…'
    )
  if spec.tokenizer_hash != target.tokenizer.digest():
    raise errors.InputError(
      f'{config.store} was made with another tokenizer than that of '
      f'{target.directory}'
    )
  check_blocks(config.blocks, layers, target.directory)
  dtype = target.config.dtype
  activations = load_activations(store, config.site, prompts, layers, dtype)
  return Maker(target, prompts, activations, config)


def check_blocks(blocks: Any, layers: int, directory: str) -> None:
  """Checks the layer blocks of a config.

  Raises:
    errors.InputError: unless they are pairs of layers that the target has.
  """
  try:
    pairs = [(int(first), int(last)) for first, last in blocks]
  except (TypeError, ValueError):
    pairs = []
  if not pairs:
    raise errors.InputError(
      f'config.blocks is {blocks}: expected pairs of a first and a last layer, '
      'such as ((0, 0), (1, 2))'
    )
  for first, last in pairs:
    if not 0 <= first <= last < layers:
      raise errors.InputError(
        f'config.blocks has {first, last}: expected 0 <= first <= last < '
        f'{layers}, the layers of {directory}'
      )


def load_activations(
  store: reader.Store,
  site: str,
  prompts: prompts_lib.Prompts,
  layers: int,
  dtype: str = 'float32',
) -> np.ndarray:
  """Reads the store that `activations.dump` made of prompts.

  Args:
    store: the store.
    site: the site.
    prompts: the N prompts, with Q position kinds.
    layers: of the target, L.
    dtype: that the target is run in.

  Returns:
    f32[N, Q, L, D].

  Raises:
    errors.InputError: if the store is not of these prompts at all layers.
  """
  spec = store.manifest.spec
  for what, found, expected in (
    ('sites', site in spec.layered, f'a layered {site} among them'),
    ('layers', spec.layers == tuple(range(layers)), f'all {layers} layers'),
    ('dtype', spec.dtype == dtype, f'{dtype}, what the target is run in'),
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
  rows = store.read(site, 0, store.rows).astype(np.float32)
  return rows.reshape(*positions.shape, *rows.shape[1:])


def rerun(
  target: target_lib.Target,
  rows: list[dict[str, Any]],
  vectors_NxD: np.ndarray,
  batch: int = stability.BATCH,
  length_step: int = 1,
) -> effects_lib.Effects:
  """Patches the target anew as records say, never reading their effects.

  Args:
    target: the target.
    rows: N records.
    vectors_NxD: their vectors.
    batch: records that are run at once.
    length_step: lengths are padded to multiples of it.

  Raises:
    errors.InputError: if the records are of several sites.
  """
  tokens, lengths = prompts_lib.pad(
    [row['prompt_ids'] for row in rows], step=length_step
  )
  sites = {row['site'] for row in rows}
  if len(sites) != 1:
    raise errors.InputError(
      f'records patch the sites {", ".join(sorted(sites))}: expected one site'
    )

  def column(name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], np.int32)

  cells = effects_lib.Cells(
    tokens=tokens,
    length=lengths,
    first=column('first_layer'),
    last=column('last_layer'),
    position=column('position'),
    vector=vectors_NxD,
    site=sites.pop(),
  )
  return effects_lib.run_patched(target.model, cells, batch)


def _canary(patches: Patches, usable: np.ndarray) -> None:
  """Runs the canaries on some cells of this very target and store."""
  if not len(usable):
    return
  wanted = np.full((len(patches.places), len(patches.kinds)), 2, np.int64)
  drawn = patches.draw(usable, wanted, 'canary')
  drawn = drawn.take(np.arange(min(_CANARY_CELLS, len(drawn))))
  if len(drawn):
    own = patches.activations[drawn.base, drawn.kind]
    effects_lib.self_patch_canary(
      patches.target.model, patches.cells(drawn), own
    )


def _records(
  patches: Patches,
  made: sampling.Sample,
  clean: effects_lib.Effects,
  split: str,
  first: int,
) -> list[dict[str, Any]]:
  """Renders a sample as records; the first one's vector is row `first`."""
  prompts, tokenizer = patches.prompts, patches.target.tokenizer
  drawn, records = made.drawn, []
  for row in range(len(drawn)):
    base, other = int(drawn.base[row]), int(drawn.counterfactual[row])
    kind, block = int(drawn.kind[row]), int(drawn.block[row])
    ids = list(prompts.ids[base])
    position = int(prompts.positions[patches.places[kind]][base])
    record = {
      'task': patching.NAME,
      'split': split,
      'group': prompts.group[base],
      'place': patches.places[kind],
      'treatment': patches.kinds[block],
      'vectors': [first + row],
      'prompt_kind': prompts.kind[base],
      'prompt_ids': ids,
      'text': prompts.text[base],
      'balanced': bool(made.balanced[row]),
      'counterfactual_group': prompts.group[other],
      'counterfactual_text': prompts.text[other],
      'site': patches.config.site,
      'first_layer': patches.config.blocks[block][0],
      'last_layer': patches.config.blocks[block][1],
      'position': position,
      **patching.pieces(tokenizer, ids, position),
      'counterfactual_ids': list(prompts.ids[other]),
      'counterfactual_position': int(
        prompts.positions[patches.places[kind]][other]
      ),
      **changes.effect(tokenizer, clean, made.effects, base, row),
    }
    records.append({**record, 'answer': patching.answer(record)})
  return records
