# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Every question that can be asked of a model about the people of a world."""

import numpy as np

from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import tokenizer as tokenizer_lib
from selfexplain_jax.worlds.biographies import facts


def all_prompts(
  world: facts.World, known: np.ndarray, tokenizer: tokenizer_lib.Tokenizer
) -> prompts_lib.Prompts:
  """Returns a prompt for each person, relation and phrasing, in that order.

  Args:
    world: the world.
    known: bool [people, relations], the facts that the target was taught.
    tokenizer: the world's tokenizer.
  """
  prompts, kinds, groups, splits, answers, is_known = [], [], [], [], [], []
  for p, person in enumerate(world.people):
    for r, relation in enumerate(world.relations):
      for h in range(len(relation.phrasings)):
        prompts.append(world.prompt(p, r, h))
        kinds.append(f'{relation.name}/{h}')
        groups.append(person.name)
        splits.append(person.split)
        answers.append(tokenizer.id_of(world.value(p, r)))
        is_known.append(bool(known[p, r]))
  return prompts_lib.Prompts(
    ids=[tokenizer.encode_prompt(prompt.text) for prompt in prompts],
    text=[prompt.text for prompt in prompts],
    positions={
      kind: np.array([p.positions[kind] for p in prompts], np.int32)
      for kind in facts.POSITION_KINDS
    },
    kind=kinds,
    group=groups,
    split=splits,
    answer=np.array(answers, np.int32),
    known=np.array(is_known),
  )
