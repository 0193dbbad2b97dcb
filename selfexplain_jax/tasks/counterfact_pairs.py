# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Pairs of facts: one relation in the same words, two subjects, two objects.

Which facts are paired, and with which options, depends on the seed and on the
facts of their relation alone.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import chance
from selfexplain_jax.data import counterfact
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.tasks import counterfact_prompts
from selfexplain_jax.tasks import sampling

# Options of a prompt besides the unknown.
OPTIONS = 5


@dataclasses.dataclass(frozen=True)
class Pairs:
  """M pairs, those of a split one after the other.

  Attributes:
    base: the facts that are asked for.
    other: the facts that vectors are taken from.
    split: the split of each pair.
    options: of each pair.
    prompt: of each base.
    counterpart: the prompt of each other.
    tokens: i32[M, T], the base prompts, padded on the right.
    length: i32[M], their lengths.
    other_tokens: i32[M, T], the other prompts, padded alike.
    text: the base prompts, without BOS.
    other_text: the other prompts, likewise.
    aligned: i64[M, T], where a base token's counterpart stands in the other
      prompt; -1 where it has none.
    notes: facts that are in no pair, by reason.
  """

  base: Sequence[counterfact.Fact]
  other: Sequence[counterfact.Fact]
  split: Sequence[str]
  options: Sequence[Sequence[str]]
  prompt: Sequence[counterfact_prompts.Prompt]
  counterpart: Sequence[counterfact_prompts.Prompt]
  tokens: np.ndarray
  length: np.ndarray
  other_tokens: np.ndarray
  text: Sequence[str]
  other_text: Sequence[str]
  aligned: np.ndarray
  notes: dict[str, Any]

  def __len__(self) -> int:
    return len(self.base)


def make(
  facts: Sequence[counterfact.Fact],
  tokenizer: tokenizer_lib.Tokenizer,
  wording: counterfact_prompts.Wording,
  config: ml_collections.ConfigDict,
) -> Pairs:
  """Pairs facts, and renders them.

  Args:
    facts: of all splits.
    tokenizer: the target's.
    wording: how they are asked.
    config: `seed`; `shares` of validation and test, by subject; `pairs.SPLIT`,
      the most pairs, 0 for as many as there are facts.

  Raises:
    errors.InputError: if a split has no pair, or the target cannot read them.
  """
  notes: dict[str, Any] = {'facts': len(facts)}
  objects: dict[str, set[str]] = {}
  for fact in facts:
    objects.setdefault(fact.relation, set()).update((fact.object, fact.other))
  pool = {name: sorted(found) for name, found in objects.items()}
  usable = [f for f in facts if len(pool[f.relation]) >= OPTIONS]
  notes['facts_of_few_objects'] = len(facts) - len(usable)
  found: list[tuple[str, counterfact.Fact, counterfact.Fact]] = []
  notes['pairs'], notes['facts_without_counterpart'] = {}, 0
  seed = config.seed
  by_split: dict[str, list[counterfact.Fact]] = {}
  for fact in usable:
    split = chance.split(seed, fact.subject, config.shares)
    by_split.setdefault(split, []).append(fact)
  for split in sampling.SPLITS:
    own = by_split.get(split, [])
    pairs, alone = _pair(own, seed)
    notes['facts_without_counterpart'] += alone
    pairs = pairs[: config.pairs[split] or None]
    if not pairs:
      raise errors.InputError(
        f'no two of the {len(own)} facts of split {split} can be paired: '
        'expected facts of one relation and prompt, of different subjects and '
        f'objects, and at least {OPTIONS} objects of the relation'
      )
    notes['pairs'][split] = len(pairs)
    found.extend((split, *pair) for pair in pairs)

  options = [_options(seed, b, o, pool[b.relation]) for _, b, o in found]
  prompts: list[counterfact_prompts.Prompt] = []
  others: list[counterfact_prompts.Prompt] = []
  for (_, base, other), shown in zip(found, options, strict=True):
    roles = base.object, other.object
    for fact, rendered in ((base, prompts), (other, others)):
      rendered.append(
        counterfact_prompts.render(fact, *roles, shown, wording, tokenizer)
      )
  width = max(len(prompt.ids) for prompt in [*prompts, *others])
  aligned = np.full((len(found), width), -1, np.int64)
  for n, (prompt, counterpart) in enumerate(zip(prompts, others, strict=True)):
    aligned[n, : len(prompt.ids)] = counterfact_prompts.align(
      prompt, counterpart
    )
  tokens, length = prompts_lib.pad([p.ids for p in prompts], width)
  other_tokens, _ = prompts_lib.pad([p.ids for p in others], width)
  start = 0 if tokenizer.bos_id is None else 1
  text, other_text = (
    [tokenizer.decode(p.ids[start:], special=True) for p in each]
    for each in (prompts, others)
  )
  return Pairs(
    base=[base for _, base, _ in found],
    other=[other for _, _, other in found],
    split=[split for split, _, _ in found],
    options=options,
    prompt=prompts,
    counterpart=others,
    tokens=tokens,
    length=length,
    other_tokens=other_tokens,
    text=text,
    other_text=other_text,
    aligned=aligned,
    notes=notes,
  )


def _pair(
  facts: Sequence[counterfact.Fact], seed: int
) -> tuple[list[tuple[counterfact.Fact, counterfact.Fact]], int]:
  """Draws a counterpart for each fact; and counts those that have none."""
  alike: dict[tuple[str, str], list[counterfact.Fact]] = {}
  for fact in facts:
    alike.setdefault((fact.relation, fact.prompt), []).append(fact)
  pairs, alone = [], 0
  for base in chance.in_order(facts, lambda fact: fact.case, seed, 'base'):
    others = [
      fact
      for fact in alike[base.relation, base.prompt]
      if fact.subject != base.subject and fact.object != base.object
    ]
    if not others:
      alone += 1
      continue
    drawn = chance.fraction(seed, 'counterfactual', base.case)
    pairs.append((base, others[int(drawn * len(others))]))
  return pairs, alone


def _options(
  seed: int,
  base: counterfact.Fact,
  other: counterfact.Fact,
  objects: Sequence[str],
) -> list[str]:
  """Draws the options of a pair, and their order."""
  own = [base.object, other.object]
  rest = [found for found in objects if found not in own]
  random = chance.generator(seed, 'options', base.case, other.case)
  drawn = random.choice(len(rest), OPTIONS - len(own), replace=False)
  options = [*own, *(rest[n] for n in drawn)]
  return [options[n] for n in random.permutation(OPTIONS)]
