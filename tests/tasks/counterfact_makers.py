# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Small patching sets from facts, as tests make them."""

import pathlib
import tempfile

from experiments.patching import counterfact as experiment
from selfexplain_jax.tasks import counterfact_search
from selfexplain_jax.tasks import patching_counterfact
from tests.tasks import text_targets

SITE = 'resid_post'
BLOCKS = ((0, 1), (2, 2))
FACTS = text_targets.write_json(
  pathlib.Path(tempfile.mkdtemp()) / 'facts.json', text_targets.facts()
)
TARGETS = {
  'base': text_targets.target('llama'),
  'chat': text_targets.target('qwen'),
}


def config(**changes):
  """Returns the config of a small set."""
  found = experiment.get_config()
  found.facts = str(FACTS)
  found.instruction = '. Answer with {options}'
  found.cue = '. Answer:'
  found.blocks = BLOCKS
  found.shares = dict(validation=0.2, test=0.3)
  found.pairs = dict(train=2, validation=1, test=1)
  found.quota = dict(train=0, validation=0, test=0)
  found.chunk = 3
  found.update(changes)
  return found


def maker(rendering='base', **changes):
  """Returns what makes it."""
  settings = config(rendering=rendering, **changes)
  return patching_counterfact.prepare(TARGETS[rendering], settings)


def search(kept=None, **changes):
  """Returns its search, which keeps finished parts in a folder, if any."""
  made = maker(**changes)
  return counterfact_search.Search(
    made.target, made.pairs, made.blocks, made.config, kept
  )
