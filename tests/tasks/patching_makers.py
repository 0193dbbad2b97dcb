# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A small patching set of the world, as tests make it."""

import jax
import ml_collections
import numpy as np

from selfexplain_jax.interventions import capture
from selfexplain_jax.interventions import run
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import prompts
from tests.data import fixtures
from tests.models import tiny

SITE = 'resid_post'
MODEL = tiny.model(
  layers=fixtures.LAYERS,
  width=fixtures.WIDTH,
  vocabulary=fixtures.TOKENIZER.vocab_size,
)
TARGET = target_lib.Target.of(MODEL, fixtures.TOKENIZER, 'a folder', 'a hash')


def config(**changes):
  """Returns the config of a small set."""
  made = ml_collections.ConfigDict()
  made.seed = 0
  made.quota = dict(train=3, validation=2, test=2)
  made.rounds = 2
  made.dtype, made.keep_unstable = 'float32', False
  made.floor = dict(unchanged=0.5, changed=1.0)
  # A random model answers nothing right.
  made.require_right = False
  made.site = SITE
  made.blocks = fixtures.BLOCKS
  made.update(changes)
  return made


def maker():
  """Returns what makes it."""
  known = facts.known_facts(fixtures.WORLD, 0)
  asked = prompts.all_prompts(fixtures.WORLD, known, fixtures.TOKENIZER)
  tokens, lengths = asked.padded()
  positions = np.stack(list(asked.positions.values()), 1)
  wanted = capture.build(MODEL.config, (SITE,), (0, 1), positions)
  kept = run.run(MODEL, tokens, lengths, None, wanted).captured[SITE]
  return patching_effects.Maker(
    target=TARGET,
    prompts=asked,
    activations=np.moveaxis(jax.device_get(kept), 0, 2),
    config=config(),
  )
