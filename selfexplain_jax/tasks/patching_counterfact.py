# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes patching sets of any decoder from CounterFact's facts (method A.2).

Every token of a prompt is patched in every block of layers, with what stands at
its counterpart in the other prompt of the pair; of what that shows, as many
changed as unchanged outputs are kept of each kind of token and block. The
search goes through the pairs in chunks: memory is bounded by one chunk, and the
effects of finished chunks are kept in the workdir.
"""

import dataclasses
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import chance
from selfexplain_jax.data import counterfact
from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import run as run_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.models import sites
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import counterfact_pairs
from selfexplain_jax.tasks import counterfact_prompts
from selfexplain_jax.tasks import counterfact_search
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task

# Equal blocks of consecutive layers, if none are named.
_BLOCKS = 4
_CANARY_CELLS = 16
# About what a record takes on disk besides its vector.
_BYTES_PER_RECORD = 600


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes patching sets from pairs of facts.

  Attributes:
    target: the target.
    pairs: the pairs.
    blocks: i32[C, 2], first and last layer of each block.
    notes: of the files that the facts are from.
    config: of the search and of `sampling.sample`; and `require_right`, whether
      pairs are left out whose base the target answers wrong.
  """

  target: target_lib.Target
  pairs: counterfact_pairs.Pairs
  blocks: np.ndarray
  notes: list[dict[str, Any]]
  config: ml_collections.ConfigDict

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    config, shape = self.config, self.target.config
    blocks = len(self.blocks)
    most = 2 * len(counterfact_prompts.PLACES) * blocks
    cells = records = again = 0
    for split, quota in config.quota.items():
      own = np.array([s == split for s in self.pairs.split])
      every = int(np.sum(self.pairs.aligned[own] >= 0)) * blocks
      cells += every
      records += min(every, most * quota) if quota else every
      # In bfloat16 up to twice of what is kept is run in another batch shape.
      again += min(every, 2 * most * quota) if quota else every
    # Besides, base prompts are run as they are, and the others both for the
    # search and for the vectors.
    again = again if shape.dtype == 'bfloat16' else 0
    forwards = cells + again + 3 * len(self.pairs)
    tokens = forwards * self.pairs.tokens.shape[1]
    gigabytes = records * (4 * shape.width + _BYTES_PER_RECORD) / 1e9
    minutes = self.target.minutes(tokens)
    return (
      f'{len(self.pairs)} pairs, {cells} cells, {forwards} forwards of '
      f'{self.pairs.tokens.shape[1]} tokens; at most {records} records, '
      f'{gigabytes:.3f} GB, roughly {minutes:.1f} minutes'
    )

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Makes the records.

    Raises:
      errors.InputError: if a split has no cells.
    """
    pairs, config = self.pairs, self.config
    search = counterfact_search.Search(
      self.target, pairs, self.blocks, config, kept
    )
    every = np.arange(len(pairs))
    clean = search.run_clean(every, stability.BATCH)
    right = np.array(
      [self._right(n, int(said)) for n, said in enumerate(clean.token)]
    )
    usable = right | (not config.require_right)
    _canary(search, every[usable])

    records: list[dict[str, Any]] = []
    vectors: list[np.ndarray] = []
    notes: dict[str, Any] = {
      'files': self.notes,
      **pairs.notes,
      'pairs_answered_wrong': int(np.sum(~right)),
      'splits': {},
    }
    ends = self.target.tokenizer.end_ids
    for split in sampling.SPLITS:
      own = every[usable & np.array([s == split for s in pairs.split])]
      made = sampling.sample(search, clean, own, config, split, ends)
      assert isinstance(made.drawn, cells_lib.Placed)
      records.extend(_records(search, made, clean, split, len(records)))
      vectors.append(search.vectors(made.drawn))
      notes['splits'][split] = made.notes
    return task.Made(records, np.concatenate(vectors), notes)

  def _right(self, pair: int, said: int) -> bool:
    """Whether an output begins the true answer, with or without a space."""
    answer, encode = self.pairs.base[pair].object, self.target.tokenizer.encode
    return said in (encode(answer)[0], encode(f' {answer}')[0])


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Reads and checks what the set is made from.

  Args:
    target: the target.
    config: of the explanation set; `facts` names the files.

  Raises:
    errors.InputError: if a file is damaged, or they give no pairs.
  """
  sampling.check(config, least=0)
  chance.check_shares(config.shares)
  for name, value, least in (
    ('chunk', config.chunk, 1),
    *((f'pairs.{s}', config.pairs[s], 0) for s in sampling.SPLITS),
  ):
    if value < least:
      raise errors.InputError(
        f'config.{name} is {value}: expected at least {least}'
      )
  if not sites.site(config.site).layered:
    raise errors.InputError(
      f'config.site is {config.site}: expected a site that has layers'
    )
  wording = counterfact_prompts.Wording(
    config.rendering, config.instruction, config.cue, config.unknown
  )
  wording.check()
  blocks = _blocks(target, config)
  facts, notes = counterfact.read(config.facts, 'facts')
  pairs = counterfact_pairs.make(facts, target.tokenizer, wording, config)
  most = target.config.max_positions
  if pairs.tokens.shape[1] > most:
    raise errors.InputError(
      f'the longest prompt has {pairs.tokens.shape[1]} tokens: expected at '
      f'most {most}, the positions of {target.directory}'
    )
  return Maker(target, pairs, blocks, notes, config)


def _blocks(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> np.ndarray:
  """Returns the blocks of layers, i32[C, 2]."""
  layers = target.config.layers
  if config.blocks:
    patching_effects.check_blocks(config.blocks, layers, target.directory)
    return np.array(config.blocks, np.int32)
  each, rest = divmod(layers, _BLOCKS)
  if rest:
    raise errors.InputError(
      f'{target.directory} has {layers} layers, which {_BLOCKS} equal blocks '
      'cannot hold: expected config.blocks to be set, such as '
      f'((0, {layers // 2 - 1}), ({layers // 2}, {layers - 1}))'
    )
  first = np.arange(0, layers, each)
  return np.stack([first, first + each - 1], 1).astype(np.int32)


def _canary(search: counterfact_search.Search, usable: np.ndarray) -> None:
  """Runs the canaries on some cells of this very target."""
  if not len(usable):
    return
  nothing = np.zeros(0, np.int64)
  drawn = search.draw(usable[: search.config.chunk], nothing, 'canary')
  # All of one chunk, so that vectors can be taken from one capture.
  chunk = drawn.base // search.config.chunk
  drawn = drawn.take(np.flatnonzero(chunk == chunk.min())[:_CANARY_CELLS])
  number = int(drawn.base[0]) // search.config.chunk
  cells = search.cells(
    drawn, search.means(number), number * search.config.chunk
  )
  model, site = search.target.model, search.config.site
  layers = tuple(range(search.target.config.layers))
  wanted = capture.build(model.config, (site,), layers, cells.position[:, None])
  found = run_lib.run(model, cells.tokens, cells.length, None, wanted)
  own = np.moveaxis(hosts.fetch(found.captured[site])[:, :, 0], 0, 1)
  effects_lib.self_patch_canary(model, cells, own)


def _records(
  search: counterfact_search.Search,
  made: sampling.Sample,
  clean: effects_lib.Effects,
  split: str,
  first: int,
) -> list[dict[str, Any]]:
  """Renders a sample as records; the first one's vector is row `first`."""
  pairs, tokenizer, drawn = search.pairs, search.target.tokenizer, made.drawn
  assert isinstance(drawn, cells_lib.Placed)
  records = []
  for row in range(len(drawn)):
    pair, position = int(drawn.base[row]), int(drawn.position[row])
    block = int(drawn.block[row])
    base, ids = pairs.base[pair], list(pairs.prompt[pair].ids)
    record = {
      'task': patching.NAME,
      'split': split,
      'group': base.subject,
      'place': search.places[int(drawn.kind[row])],
      'treatment': search.kinds[block],
      'vectors': [first + row],
      'prompt_kind': base.relation,
      'prompt_ids': ids,
      'text': pairs.text[pair],
      'balanced': bool(made.balanced[row]),
      'counterfactual_group': pairs.other[pair].subject,
      'counterfactual_text': pairs.other_text[pair],
      'site': search.config.site,
      'first_layer': int(search.blocks[block, 0]),
      'last_layer': int(search.blocks[block, 1]),
      'position': position,
      **patching.pieces(tokenizer, ids, position),
      'counterfactual_ids': list(pairs.counterpart[pair].ids),
      'counterfactual_position': int(pairs.aligned[pair, position]),
      **changes.effect(tokenizer, clean, made.effects, pair, row),
    }
    records.append({**record, 'answer': patching.answer(record)})
  return records
