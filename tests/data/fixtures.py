# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Small explanation sets of the world, made up without running any model."""

import functools
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import features
from selfexplain_jax.tasks import patching
from selfexplain_jax.worlds.biographies import descriptions
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

LAYERS, WIDTH = 2, 16
BLOCKS = ((0, 0), (0, 1), (1, 1))
WORLD = facts.make_world(seed=0, people=48)
TOKENIZER = vocabulary.build_tokenizer(
  WORLD,
  {
    *patching.words(LAYERS),
    *ablation.words(LAYERS),
    *features.words(LAYERS),
    *descriptions.words(WORLD),
  },
)
TARGET = {'weight_hash': 'abc', 'tokenizer_hash': TOKENIZER.digest()}
MANIFEST = {'task': patching.NAME, 'target': TARGET}


def _prompt(index: int, purpose: int) -> tuple[np.random.Generator, Any, Any]:
  """Draws whom and what a record asks about; two people for one question."""
  rng = np.random.default_rng([purpose, index])
  person, other = rng.choice(len(WORLD.people), 2, replace=False).tolist()
  asked = int(rng.integers(5)), int(rng.integers(3))
  return rng, (person, *asked), (other, *asked)


def _effect(rng: np.random.Generator, relation: int) -> dict[str, Any]:
  """Draws an effect."""
  values = WORLD.relations[relation].values
  clean, treated = rng.choice(values, 2, replace=False).tolist()
  changed = bool(rng.random() < 0.5)
  treated = treated if changed else clean
  return {
    'clean_id': TOKENIZER.id_of(clean),
    'treated_id': TOKENIZER.id_of(treated),
    'clean_token': clean,
    'treated_token': treated,
    'clean_margin': float(np.float32(rng.random())),
    'treated_margin': float(np.float32(rng.random())),
    'changed': changed,
    'system': None,
    'content_prefix': '',
    'answer': claims.render(changed, treated),
  }


def record(index: int) -> dict[str, Any]:
  """Returns patching record `index`: what it asks is true, its effect drawn."""
  rng, base, other = _prompt(index, 7)
  person, relation, phrasing = base
  prompt = WORLD.prompt(*base)
  place = facts.POSITION_KINDS[index % 4]
  position = prompt.positions[place]
  first, last = BLOCKS[index // 4 % len(BLOCKS)]
  return {
    'task': patching.NAME,
    'split': WORLD.people[person].split,
    'group': WORLD.people[person].name,
    'place': place,
    'treatment': patching.layers_text(first, last),
    'vectors': [index],
    'prompt_kind': f'{WORLD.relations[relation].name}/{phrasing}',
    'prompt_ids': TOKENIZER.encode_prompt(prompt.text),
    'text': prompt.text,
    'balanced': index % 3 > 0,
    'counterfactual_group': WORLD.people[other[0]].name,
    'counterfactual_text': WORLD.prompt(*other).text,
    'site': 'resid_post',
    'first_layer': first,
    'last_layer': last,
    'position': position,
    'before': ' '.join(prompt.words[: position - 1]),
    'token_text': prompt.words[position - 1],
    'after': ' '.join(prompt.words[position:]),
    'counterfactual_ids': TOKENIZER.encode_prompt(WORLD.prompt(*other).text),
    'counterfactual_position': WORLD.prompt(*other).positions[place],
    **_effect(rng, relation),
  }


def ablation_record(index: int) -> dict[str, Any]:
  """Returns ablation record `index`: of a hinted question, its effect drawn."""
  rng, base, other = _prompt(index, 11)
  person, relation, phrasing = base
  told, instead = rng.choice(
    WORLD.relations[relation].values, 2, replace=False
  ).tolist()
  asked = WORLD.prompt(*base).words
  words = ['question', ':', *asked, 'hint', ':', 'i', 'think', told]
  words += ['answer', ':']
  end = 2 + len(asked) + 5  # Of the hint, in words.
  place, start, stop, replacement = (
    ('hint', end - 5, end, ['hint', ':', 'i', 'think', instead]),
    ('first_name', 2, 3, [WORLD.people[other[0]].first]),
    ('last_name', 3, 4, [WORLD.people[other[0]].last]),
  )[index % 3]
  treatment = (ablation.REMOVED, ablation.REPLACED)[index // 3 % 2]
  if treatment == ablation.REMOVED:
    replacement = []
  text = ' '.join(words)
  return {
    'task': ablation.NAME,
    'split': WORLD.people[person].split,
    'group': WORLD.people[person].name,
    'place': place,
    'treatment': treatment,
    'vectors': [],
    'prompt_kind': f'{WORLD.relations[relation].name}/{phrasing}/with hint',
    'prompt_ids': TOKENIZER.encode_prompt(text),
    'text': text,
    'balanced': index % 4 > 0,
    'known': index % 5 < 3,
    'start': 1 + start,  # BOS is counted.
    'end': 1 + stop,
    'replacement_ids': [TOKENIZER.id_of(word) for word in replacement],
    'span_text': ' '.join(words[start:stop]),
    'replacement_text': ' '.join(replacement),
    'ablated_text': ' '.join([*words[:start], *replacement, *words[stop:]]),
    **_effect(rng, relation),
  }


def explained(
  records: list[dict[str, Any]], seed: int = 0, schema: pa.Schema | None = None
) -> explanations.ExplanationSet:
  """Returns a set of records, of patching if not told otherwise.

  Its vectors, which are as many as the records refer to, are random.
  """
  rng = np.random.default_rng(seed)
  most = max((v + 1 for row in records for v in row['vectors']), default=0)
  return explanations.ExplanationSet(
    manifest={**MANIFEST, 'task': records[0]['task']},
    records=pa.Table.from_pylist(
      records, patching.SCHEMA if schema is None else schema
    ),
    vectors=rng.normal(size=(most, WIDTH)).astype(np.float32),
  )


@functools.cache
def explanation_set(count: int) -> explanations.ExplanationSet:
  """Returns the set of the first patching records."""
  return explained([record(i) for i in range(count)])


@functools.cache
def ablation_set(count: int) -> explanations.ExplanationSet:
  """Returns the set of the first ablation records."""
  records = [ablation_record(i) for i in range(count)]
  return explained(records, schema=ablation.SCHEMA)
