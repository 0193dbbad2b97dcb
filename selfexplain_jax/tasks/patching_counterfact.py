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
from selfexplain_jax import progress
from selfexplain_jax.data import chance
from selfexplain_jax.data import counterfact
from selfexplain_jax.distributed import hosts
from selfexplain_jax.interventions import block_means
from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import kept as kept_lib
from selfexplain_jax.interventions import run as run_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.models import sites
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import counterfact_pairs
from selfexplain_jax.tasks import counterfact_prompts
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


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes patching sets from pairs of facts.

  Attributes:
    target: the target.
    pairs: the pairs.
    blocks: i32[C, 2], first and last layer of each block.
    notes: of the files that the facts are from.
    config: of `Search` and of `sampling.sample`; and `require_right`, whether
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
    search = Search(self.target, pairs, self.blocks, config, kept)
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


def _canary(search: Search, usable: np.ndarray) -> None:
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
  search: Search,
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
