# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Makes the explanation set of input ablation (method A.3).

A span of a prompt, such as its hint, is removed, or replaced by the same span
of another prompt that asks the same; what the target then says is the effect.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any
import zlib

import jax.numpy as jnp
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.data import samples
from selfexplain_jax.data import spans as spans_lib
from selfexplain_jax.distributed import hosts
from selfexplain_jax.fidelity import claims
from selfexplain_jax.interventions import ablate
from selfexplain_jax.interventions import effects as effects_lib
from selfexplain_jax.interventions import stability
from selfexplain_jax.models import generate
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import cells as cells_lib
from selfexplain_jax.tasks import changes
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.tasks import task
from selfexplain_jax.worlds.biographies import hints
from selfexplain_jax.worlds.biographies import pretraining

_KINDS = (ablation.REMOVED, ablation.REPLACED)


@dataclasses.dataclass(frozen=True)
class Ablations:
  """The ablations of one target's prompts: `sampling.Treatments`.

  Attributes:
    target: the target.
    asked: N prompts with spans.
    seed: of the draws.
  """

  target: target_lib.Target
  asked: spans_lib.SpannedPrompts
  seed: int

  @property
  def places(self) -> tuple[str, ...]:
    return tuple(self.asked.spans)

  @property
  def kinds(self) -> tuple[str, ...]:
    return _KINDS

  def draw(
    self, usable: np.ndarray, wanted: np.ndarray, purpose: str
  ) -> cells_lib.Drawn:
    """Draws prompts, and for replacements others of their kind.

    Those whose replacement is what was there anyway are left out, so a few less
    than wanted are returned. Of prompts with the same tokens there, the first
    stands for all, so that nothing is asked twice.
    """
    rng = np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])
    kinds = np.array(self.asked.prompts.kind)
    parts = []
    for place, name in enumerate(self.places):
      present = usable[self.asked.spans[name][usable, 1] > 0]
      members = {kind: present[kinds[present] == kind] for kind in set(kinds)}
      first: dict[tuple[Any, ...], int] = {}
      for prompt in present.tolist():
        tokens = self.asked.tokens(name, prompt)
        first.setdefault((kinds[prompt], *tokens), prompt)
      for kind, count in enumerate(wanted[place]):
        if not len(present):
          continue
        base = rng.choice(present, count)
        other = base
        if _KINDS[kind] == ablation.REPLACED:
          draws = rng.random(count)
          rows = [members[kinds[b]] for b in base]
          picked = [
            r[int(d * len(r))] for r, d in zip(rows, draws, strict=True)
          ]
          own, instead = (
            [(kinds[p], *self.asked.tokens(name, p)) for p in some]
            for some in (base, picked)
          )
          other = np.array([first[tokens] for tokens in instead], np.int64)
          differs = [a != b for a, b in zip(own, instead, strict=True)]
          base, other = base[differs], other[differs]
        full = np.ones(len(base), np.int64)
        parts.append(cells_lib.Drawn(base, other, place * full, kind * full))
    return cells_lib.join([cells_lib.nothing(), *parts])

  def span(self, drawn: cells_lib.Drawn, row: int) -> tuple[int, int]:
    """Where the span of one drawn ablation starts and ends."""
    place = self.places[int(drawn.kind[row])]
    start, end = self.asked.spans[place][drawn.base[row]].tolist()
    return start, end

  def replacement(self, drawn: cells_lib.Drawn, row: int) -> list[int]:
    """The tokens that stand in its place."""
    if _KINDS[drawn.block[row]] == ablation.REMOVED:
      return []
    place = self.places[int(drawn.kind[row])]
    return self.asked.tokens(place, int(drawn.counterfactual[row]))

  def ablated(self, drawn: cells_lib.Drawn) -> list[list[int]]:
    """The prompts as the target then reads them."""
    return [
      ablate.ablate(
        self.asked.prompts.ids[int(drawn.base[row])],
        *self.span(drawn, row),
        self.replacement(drawn, row),
      )
      for row in range(len(drawn))
    ]

  def run(self, drawn: cells_lib.Drawn, batch: int) -> effects_lib.Effects:
    """Runs the ablated prompts."""
    return _run(self.target, self.ablated(drawn), batch)

  def run_clean(self, prompts: np.ndarray, batch: int) -> effects_lib.Effects:
    """Runs prompts as they are."""
    ids = [self.asked.prompts.ids[i] for i in prompts]
    return _run(self.target, ids, batch)


def _run(
  target: target_lib.Target,
  ids: Sequence[Sequence[int]],
  batch: int,
  length_step: int = 1,
) -> effects_lib.Effects:
  tokens, lengths = prompts_lib.pad(ids, step=length_step)
  return effects_lib.run_clean(target.model, tokens, lengths, batch)


@dataclasses.dataclass(frozen=True)
class Maker:
  """Makes ablation sets from prompts with spans.

  Attributes:
    target: the target.
    asked: N prompts with spans.
    config: of `sampling.sample`.
  """

  target: target_lib.Target
  asked: spans_lib.SpannedPrompts
  config: ml_collections.ConfigDict

  @property
  def plan(self) -> str:
    """The sizes of the work, in one line."""
    config = self.config
    cells = len(self.asked.spans) * len(_KINDS)
    records = 2 * cells * sum(config.quota.values())
    runs = cells * sum(config.quota.values()) * (8 * config.rounds - 6)
    tokens = (runs + len(self.asked)) * max(map(len, self.asked.prompts.ids))
    minutes = self.target.minutes(tokens)
    return (
      f'{cells} kinds of ablations; at most {records} records, roughly '
      f'{minutes:.1f} minutes'
    )

  def make(self, kept: files.PathLike | None = None) -> task.Made:
    """Makes the records.

    Raises:
      errors.InputError: if a split has none.
    """
    del kept  # It does not take long.
    ablations = Ablations(self.target, self.asked, self.config.seed)
    everything = np.arange(len(self.asked))
    clean = ablations.run_clean(everything, stability.BATCH)
    records: list[dict[str, Any]] = []
    notes: dict[str, Any] = {'prompts': len(self.asked), 'splits': {}}
    for split in sampling.SPLITS:
      of_split = np.array([s == split for s in self.asked.prompts.split])
      made = sampling.sample(
        ablations, clean, np.flatnonzero(of_split), self.config, split
      )
      records.extend(_records(ablations, made, clean, split))
      notes['splits'][split] = made.notes
    width = self.target.config.width
    return task.Made(records, np.zeros((0, width), np.float32), notes)


def prepare(
  target: target_lib.Target, config: ml_collections.ConfigDict
) -> Maker:
  """Makes the prompts that are ablated.

  Args:
    target: the target.
    config: of the explanation set; `prompts.source` is `biographies`, questions
      with and without hints about the target's world, or `samples`, its own
      samples.

  Raises:
    errors.InputError: if the source is neither, or the target has no such
      prompts.
  """
  sampling.check(config)
  match config.prompts.source:
    case 'biographies':
      corpus = pretraining.load(target.directory)
      asked = hints.all_prompts(
        corpus.world, corpus.known, target.tokenizer, config.seed
      )
    case 'samples':
      asked = spans_lib.of_positions(
        samples.sample_prompts(
          target.model,
          target.tokenizer,
          seed=config.seed,
          **config.prompts.samples,
        )
      )
    case other:
      raise errors.InputError(
        f"config.prompts.source is {other!r}: expected 'biographies' or "
        "'samples'"
      )
  return Maker(target, asked, config)


def rerun(
  target: target_lib.Target,
  rows: list[dict[str, Any]],
  vectors_NxD: np.ndarray,
  batch: int = stability.BATCH,
  length_step: int = 1,
) -> effects_lib.Effects:
  """Ablates prompts anew as records say, never reading their effects.

  Args:
    target: the target.
    rows: N records.
    vectors_NxD: not looked at.
    batch: records that are run at once.
    length_step: lengths are padded to multiples of it.
  """
  del vectors_NxD
  ids = [
    ablate.ablate(
      row['prompt_ids'], row['start'], row['end'], row['replacement_ids']
    )
    for row in rows
  ]
  return _run(target, ids, batch, length_step)


def black_box(
  target: target_lib.Target, rows: list[dict[str, Any]]
) -> list[str]:
  """Answers by putting both texts to the target, as anybody could.

  The texts are tokenised anew and continued by generation, so that nothing of
  how effects are made is used: a ceiling that needs no look inside.
  """
  said = []
  for name in ('text', 'ablated_text'):
    ids = [_asked(target, row, row[name]) for row in rows]
    tokens, lengths = prompts_lib.pad(ids)
    made = generate.generate(
      target.model,
      jnp.asarray(tokens),
      jnp.asarray(lengths),
      new_tokens=1,
      end_id=-1,
    )
    said.append(
      [target.tokenizer.text(int(t)) for t in hosts.fetch(made.tokens)[:, 0]]
    )
  return [
    claims.render(before != after, changes.content(row, after))
    for row, before, after in zip(rows, *said, strict=True)
  ]


def _asked(
  target: target_lib.Target, row: dict[str, Any], text: str
) -> list[int]:
  """The ids of a text, in a chat if the answer was begun for the target."""
  begun = row.get('content_prefix')
  if not begun:
    return target.tokenizer.encode_prompt(text)
  messages = ablation.messages(row.get('system'), text)
  return target.tokenizer.encode_chat(messages, begun)


def _records(
  ablations: Ablations,
  made: sampling.Sample,
  clean: effects_lib.Effects,
  split: str,
) -> list[dict[str, Any]]:
  """Renders a sample as records."""
  prompts, tokenizer = ablations.asked.prompts, ablations.target.tokenizer
  drawn, records = made.drawn, []
  ablated = ablations.ablated(drawn)
  for row in range(len(drawn)):
    base = int(drawn.base[row])
    ids = list(prompts.ids[base])
    start, end = ablations.span(drawn, row)
    replacement = ablations.replacement(drawn, row)
    record = {
      'task': ablation.NAME,
      'split': split,
      'group': prompts.group[base],
      'place': ablations.places[int(drawn.kind[row])],
      'treatment': _KINDS[int(drawn.block[row])],
      'vectors': [],
      'prompt_kind': prompts.kind[base],
      'prompt_ids': ids,
      'text': prompts.text[base],
      'balanced': bool(made.balanced[row]),
      # Of no prompt that has no right answer.
      'known': bool(prompts.known[base]) if prompts.answer[base] >= 0 else None,
      'start': start,
      'end': end,
      'replacement_ids': replacement,
      'span_text': tokenizer.decode(ids[start:end]),
      'replacement_text': tokenizer.decode(replacement),
      'ablated_text': tokenizer.decode(ablated[row][1:]),
      **changes.effect(tokenizer, clean, made.effects, base, row),
    }
    records.append({**record, 'answer': ablation.answer(record)})
  return records
