# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that canaries live in a sound model and die in broken ones."""

import dataclasses
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp

from selfexplain_jax.interventions import patch
from selfexplain_jax.models import attention
from selfexplain_jax.models import generate
from selfexplain_jax.validation import canaries
from tests.models import tiny

# Each breaks the code in its own way; a program that was compiled before it is
# broken is another one's, of another number of positions.
_POSITIONS = iter(range(300, 400))
PROMPTS = canaries.random_prompts(40, 4, 10, 0, 1)


def _found(**changes):
  model = tiny.model(layers=2, max_positions=next(_POSITIONS), **changes)
  return {check.name: check for check in canaries.run(model, PROMPTS)}


def _failed(found):
  return [name for name, check in found.items() if not check.ok]


def _everything_visible(segments, batch, length):
  del segments
  return jnp.ones((batch, length, length), bool)


def _writes_nothing(self, written, site, layer, value):
  del self, site, layer
  return written, value


def _writes_one_layer(visit):
  def one(self, written, site, layer, value):
    return visit(
      dataclasses.replace(self, last=self.first), *(written, site, layer, value)
    )

  return one


def _writes_rounded(visit):
  def rounded(self, written, site, layer, value):
    vector = self.vector.astype(jnp.bfloat16).astype(jnp.float32)
    changed = dataclasses.replace(self, vector=vector)
    return visit(changed, written, site, layer, value)

  return rounded


def _other_tokens(made):
  def other(*args, **kwargs):
    found = made(*args, **kwargs)
    return found._replace(tokens=found.tokens.at[:, 3].add(1) % 40)

  return other


_VISIT = patch.Patches.visit

# What is broken, and which canaries die of it.
_BROKEN = {
  'attention that looks ahead': (
    mock.patch.object(attention, 'visible', _everything_visible),
    ['padding', 'batch shape'],
  ),
  'patches that do nothing': (
    mock.patch.object(patch.Patches, 'visit', _writes_nothing),
    ['own values', 'zeros', 'written cells'],
  ),
  'patches of the first layer alone': (
    mock.patch.object(patch.Patches, 'visit', _writes_one_layer(_VISIT)),
    ['written cells'],
  ),
  'patches that are rounded': (
    mock.patch.object(patch.Patches, 'visit', _writes_rounded(_VISIT)),
    ['own values'],
  ),
  'generation that errs': (
    mock.patch.object(generate, 'generate', _other_tokens(generate.generate)),
    ['batch shape'],
  ),
}


class CanariesTest(parameterized.TestCase):
  @parameterized.parameters('float32', 'bfloat16')
  def test_a_sound_model_passes(self, dtype):
    found = _found(dtype=dtype, parameter_dtype='float32')
    self.assertEmpty(_failed(found), found)
    self.assertLen(found, 6)
    # Five sites of two layers, and two of none.
    self.assertIn('each of 12 sites', found['own values'].detail)

  @parameterized.parameters(*_BROKEN)
  def test_a_broken_one_does_not(self, how):
    broken, expected = _BROKEN[how]
    with broken:
      self.assertEqual(_failed(_found()), expected)

  def test_tells_a_number_that_is_none(self):
    model = tiny.model(layers=2, max_positions=next(_POSITIONS))
    down = model.layers.down
    model.layers.down = down.replace(down[...].at[0, 0, 0].set(jnp.nan))
    first = next(canaries.run(model, PROMPTS))
    self.assertEqual(first.name, 'finite')
    self.assertIn('mlp_out[0] has values that are not', first.detail)


if __name__ == '__main__':
  absltest.main()
