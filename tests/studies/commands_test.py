# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of commands that make recipes."""

import shlex
import sys
from unittest import mock

from absl import flags
from absl.testing import absltest
from absl.testing import parameterized
from ml_collections import config_flags

from experiments.scaling import starts
from experiments.scaling import variations
from launch import sweep
from selfexplain_jax import errors
from selfexplain_jax.studies import commands
from selfexplain_jax.studies import study
from tests.studies import runs

_WORKDIR = '/a workdir'


def _parsed(words):
  """The workdir and config that a binary would have."""
  values = flags.FlagValues()
  config_flags.DEFINE_config_file('config', flag_values=values)
  flags.DEFINE_string('workdir', '', '', flag_values=values)
  with mock.patch.object(sys, 'argv', words):  # Where it looks for fields.
    values(words)
  return values.workdir, values.config


class CommandsTest(parameterized.TestCase):
  @parameterized.parameters(
    (starts, 'all'),
    (starts, 'test'),
    (variations, 'test'),
    (variations, 'width'),
  )
  def test_have_binaries_make_what_a_sweep_would(self, module, part):
    config = module.get_config(part)
    nothing = study.Results(self.create_tempdir().full_path)
    wanted = [run.evaluation for run in module.plan(config, nothing).runs]
    lines = list(commands.lines(wanted, _WORKDIR, 'run ', sweep._BASES))
    self.assertLen(set(lines), len(lines))
    recipes = {f'{_WORKDIR}/{r.folder}': r for w in wanted for r in w.all()}
    self.assertLen(lines, len(recipes))
    made = set[str]()
    for line in lines:
      before, binary, *words = shlex.split(line)
      self.assertEqual(before, 'run')
      place, own = _parsed([binary, *words])
      recipe = recipes[place]
      self.assertEqual(binary, recipe.stage)
      self.assertEqual(
        own.to_dict(), recipe.resolved(_WORKDIR).to_dict(), place
      )
      # What it needs was made before it.
      needed = {f'{_WORKDIR}/{s.recipe.folder}' for s in recipe.inputs.values()}
      self.assertLessEqual(needed, made)
      made.add(place)

  def test_what_no_binary_makes_is_refused(self):
    with self.assertRaisesRegex(errors.InputError, 'which is no binary'):
      list(commands.lines([runs.make_recipe('rotate')], 'w', '', sweep._BASES))

  def test_what_flags_cannot_set_is_refused(self):
    recipe = runs.make_recipe('train_explainer', surplus=1)
    with self.assertRaisesRegex(errors.InputError, 'config.surplus, which'):
      list(commands.lines([recipe], 'w', '', sweep._BASES))


if __name__ == '__main__':
  absltest.main()
