# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A small explanation set of the world, made up without running any model."""

import functools
from typing import Any

import numpy as np
import pyarrow as pa

from selfexplain_jax.data import explanations
from selfexplain_jax.fidelity import claims
from selfexplain_jax.tasks import patching
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

LAYERS, WIDTH = 2, 16
BLOCKS = ((0, 0), (0, 1), (1, 1))
WORLD = facts.make_world(seed=0, people=48)
TOKENIZER = vocabulary.build_tokenizer(WORLD, patching.words(LAYERS))
MANIFEST = {'task': patching.NAME, 'target': {'weight_hash': 'abc'}}


def record(index: int) -> dict[str, Any]:
  """Returns record `index`: what it asks is of the world, its effect drawn."""
  rng = np.random.default_rng([7, index])
  person, other = rng.choice(len(WORLD.people), 2, replace=False).tolist()
  relation, phrasing = int(rng.integers(5)), int(rng.integers(3))
  prompt = WORLD.prompt(person, relation, phrasing)
  kind = facts.POSITION_KINDS[index % 4]
  position = prompt.positions[kind]
  first, last = BLOCKS[index // 4 % len(BLOCKS)]
  clean, patched = rng.choice(
    WORLD.relations[relation].values, 2, replace=False
  ).tolist()
  changed = bool(rng.random() < 0.5)
  patched = patched if changed else clean
  return {
    'task': patching.NAME,
    'split': WORLD.people[person].split,
    'group': WORLD.people[person].name,
    'counterfactual_group': WORLD.people[other].name,
    'prompt_kind': f'{WORLD.relations[relation].name}/{phrasing}',
    'position_kind': kind,
    'site': 'resid_post',
    'first_layer': first,
    'last_layer': last,
    'position': position,
    'prompt_ids': TOKENIZER.encode_prompt(prompt.text),
    'text': prompt.text,
    'before': ' '.join(prompt.words[: position - 1]),
    'token_text': prompt.words[position - 1],
    'after': ' '.join(prompt.words[position:]),
    'counterfactual_text': WORLD.prompt(other, relation, phrasing).text,
    'clean_id': TOKENIZER.id_of(clean),
    'patched_id': TOKENIZER.id_of(patched),
    'clean_token': clean,
    'patched_token': patched,
    'clean_margin': float(np.float32(rng.random())),
    'patched_margin': float(np.float32(rng.random())),
    'changed': changed,
    'balanced': index % 3 > 0,
    'answer': claims.render(changed, patched),
  }


def explained(
  records: list[dict[str, Any]], seed: int = 0
) -> explanations.ExplanationSet:
  """Returns a set of records with random vectors."""
  rng = np.random.default_rng(seed)
  return explanations.ExplanationSet(
    manifest=dict(MANIFEST),
    records=pa.Table.from_pylist(records, explanations.SCHEMA),
    vectors=rng.normal(size=(len(records), WIDTH)).astype(np.float32),
  )


@functools.cache
def explanation_set(count: int) -> explanations.ExplanationSet:
  """Returns the set of the first records."""
  return explained([record(i) for i in range(count)])
