# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the stages' programs: how they are split, and what they take."""

import dataclasses
import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax

from experiments import compile_check
from selfexplain_jax import errors
from selfexplain_jax.compiled import check
from selfexplain_jax.compiled import chips
from selfexplain_jax.compiled import costs
from selfexplain_jax.compiled import programs
from selfexplain_jax.dictionary import training as dictionary_training
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import presets
from tests.compiled import shardings
from tests.models import real
from tests.models import tiny


def _small(stage):
  """A config of a stage, and the shape of a model that compiles at once."""
  config = compile_check.get_config(f'llama3_1_8b/{stage}')
  config.mesh = dict(data=-1, fsdp=1, tensor=1)
  config.rows_per_chip, config.length = 4, min(config.length, 32)
  config.lora_rank, config.new_tokens, config.vectors = 2, 3, 2
  config.dictionary.update(dict(features=64, k=4, auxiliary_k=4))
  shape = tiny.config(layers=2, width=64, mlp_width=128, vocabulary=96)
  return config, dataclasses.replace(shape, dtype='float32')


def _compiled(stage):
  config, shape = _small(stage)
  mesh = mesh_lib.make_mesh(**config.mesh)
  return programs.program(config, shape, mesh)


class ProgramsTest(parameterized.TestCase):
  def test_arrays_are_split_as_they_were(self):
    self.assertEqual(
      shardings.text(),
      shardings.FILE.read_text(),
      'run: python -m tests.compiled.shardings --write',
    )

  @parameterized.parameters(*compile_check.STAGES)
  def test_what_is_counted_is_what_the_formula_has(self, stage):
    # One device of this machine would leave out features that do not fire.
    with mock.patch.object(dictionary_training, '_is_split', lambda: True):
      made = _compiled(stage)
      compiled = made.lower().compile()
    found = costs.count(compiled.as_text(), made.trips)
    # Nobody knows how long a search for a threshold takes, and it has no
    # products; how many layers are captured is an argument.
    self.assertEqual(found.loops > 0, stage in ('dictionary', 'capture'))
    self.assertBetween(found.flops / made.operations, 0.9, 1.1)

  @parameterized.parameters('full', 'patch')
  def test_loops_are_counted_as_if_they_were_written_out(self, stage):
    looped = costs.count(_compiled(stage).lower().compile().as_text())
    written_out = functools.partial(jax.lax.scan, unroll=True)
    jax.clear_caches()
    with mock.patch.object(jax.lax, 'scan', written_out):
      compiled = _compiled(stage).lower().compile()
    jax.clear_caches()
    found = costs.count(compiled.as_text())
    self.assertAlmostEqual(looped.flops / found.flops, 1, delta=0.02)
    # XLA counts work by element too, and there are no loops that it misses.
    theirs = compiled.cost_analysis()['flops']
    self.assertBetween(found.flops / theirs, 0.8, 1.0)

  def test_a_check_says_what_a_run_takes(self):
    made = _compiled('patch')
    found = check.check(made, chips.TPUS['v5e'], jax.device_count(), 1)
    self.assertTrue(found['fits'])
    self.assertGreater(found['bytes']['total'], 0)
    self.assertIn('fits', check.lines(found)[0])
    small = dataclasses.replace(chips.TPUS['v5e'], memory=10)
    self.assertFalse(check.check(made, small, jax.device_count(), 1)['fits'])

  def test_refuses_another_stage(self):
    config, shape = _small('patch')
    config.stage = 'sleep'
    with self.assertRaisesRegex(errors.InputError, 'sleep.*expected one of'):
      programs.program(config, shape, mesh_lib.make_mesh())

  def test_shapes_are_the_published_ones(self):
    folder = self.create_tempdir()
    for name, hub in (
      ('llama3_1_8b', real.paper.LLAMA),
      ('llama3_1_70b', real.paper.LLAMA_70B),
      ('qwen3_8b', real.paper.QWEN),
    ):
      self.assertEqual(presets.shape(name), real.shape(hub, folder.full_path))
    with self.assertRaisesRegex(errors.InputError, "no model 'gpt'.*qwen3_8b"):
      presets.shape('gpt')


if __name__ == '__main__':
  absltest.main()
