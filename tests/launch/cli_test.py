# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of `launch.cli` and of every binary's command line."""

import contextlib
import re
import types
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np

from launch import cli
from tests.launch import binaries

_STAGES = (
  'launch.check_dictionary',
  'launch.convert_published',
  'launch.dump_activations',
  'launch.evaluate_fidelity',
  'launch.make_explanations',
  'launch.pretrain_target',
  'launch.train_dictionary',
  'launch.train_explainer',
)
_DUMP = 'launch.dump_activations'
_PRETRAIN = 'launch.pretrain_target'
_W = '--workdir=/nowhere/out'

# A command line, and what its one line on stderr names. None of these comes as
# far as to use the workdir.
_BAD = {
  'unknown flag': ([_DUMP, _W, '--nope=1'], "'nope'"),
  'unknown field': ([_DUMP, _W, '--config.nope=1'], "no field 'nope'"),
  'unknown inner field': ([_DUMP, _W, '--config.mesh.dota=1'], "'dota'"),
  'bad value': ([_DUMP, _W, '--config.seed=x'], '--config.seed=x'),
  'no value': ([_DUMP, '--workdir'], '--workdir'),
  'no workdir': ([_DUMP], '--workdir is missing: expected a folder'),
  'stray argument': ([_DUMP, _W, 'stray'], "argument 'stray'"),
  'no config': ([_DUMP, _W, '--config=no.py'], "no config at 'no.py'"),
  'field of no config': (
    [_DUMP, _W, '--config=no.py', '--config.seed=1'],
    "'no.py'",
  ),
  'a config that is not Python': ([_DUMP, _W, '--config=README.md'], 'README'),
  'a config without get_config': (
    [_DUMP, _W, '--config=launch/__init__.py'],
    "no attribute 'get_config'",
  ),
  'needless argument': (
    [
      'launch.train_explainer',
      _W,
      '--config=experiments/explainer.py:small',
    ],
    'get_config() takes 0 positional arguments',
  ),
  'unknown argument': (
    [_PRETRAIN, _W, '--config=experiments/world/pretrain.py:me'],
    "no model 'me': expected target, ",
  ),
  'unknown kind of prompts': (
    [_DUMP, _W, '--config=experiments/world/dump.py:books'],
    "no source 'books': expected biographies or documents",
  ),
  'unknown size': (
    ['launch.quickstart', _W, '--config=experiments/quickstart.py:tset'],
    "no size 'tset': expected laptop or test",
  ),
  'negative seed': (['launch.quickstart', _W, '--seed=-1'], '--seed'),
  'no steps': ([_PRETRAIN, _W, '--config.steps=0'], 'steps=0: expected at'),
  'no checkpoints': (
    [_PRETRAIN, _W, '--config.checkpoint_every=0'],
    'checkpoint_every=0: expected at least 1',
  ),
  'negative seed of facts': (
    [_PRETRAIN, _W, '--config.world.known_seed=-1'],
    'known_seed=-1: expected at least 0',
  ),
  'no number type': (
    [_PRETRAIN, _W, '--config.model.dtype=float31'],
    'dtype=float31: expected one of float32',
  ),
  'a workdir that is a file': (
    [_PRETRAIN, f'--workdir={__file__}'],
    'is a file: expected a folder',
  ),
  'unknown source': (
    [_DUMP, _W, '--config.target=TARGET', '--config.prompts.source=me'],
    'TARGET',
  ),
  'explainers without self': (
    [
      'launch.evaluate_fidelity',
      _W,
      '--config.target=T',
      '--config.explanations=T',
      '--config.explainers.twin=E',
    ],
    '--config.explainers.self is missing',
  ),
  'a config of another binary': (
    [_DUMP, _W, '--config=experiments/explainer.py', '--config.target=T'],
    'config has no field prompts_per_shard',
  ),
  'a config that is no study': (
    ['launch.sweep', _W, '--config=experiments/explainer.py'],
    'config has no field module',
  ),
  'too many devices': (
    [_DUMP, _W, '--config.target=T', '--config.mesh.tensor=7'],
    'x 7 (data x fsdp x tensor)',
  ),
  'no way to split parameters': (
    [_DUMP, _W, '--config.target=T', '--config.mesh.fsdp=0'],
    'fsdp=0, tensor=1: expected at least 1',
  ),
  'no way to split heads': (
    [_PRETRAIN, _W, '--config.mesh.tensor=0'],
    'fsdp=1, tensor=0: expected at least 1',
  ),
  'heads that do not share keys': (
    [_PRETRAIN, _W, '--config.model.heads=3'],
    'heads=3: expected a multiple of kv_heads=4',
  ),
  'no keys': ([_PRETRAIN, _W, '--config.model.kv_heads=0'], 'kv_heads=0'),
  'heads that cannot be rotated': (
    [_PRETRAIN, _W, '--config.model.head_width=5'],
    'head_width=5: expected an even number',
  ),
} | {
  f'no input of {stage}': ([stage, _W], 'is missing: expected a directory')
  for stage in _STAGES
  if stage != _PRETRAIN
}


class CommandLineTest(parameterized.TestCase):
  ended: dict[str, binaries.Ended]

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    lines = [line for line, _ in _BAD.values()]
    stages = [*_STAGES, 'launch.flow', 'launch.quickstart', 'launch.sweep']
    ended = binaries.run(*lines, *([stage, '--help'] for stage in stages))
    cls.ended = dict(zip([*_BAD, *stages], ended, strict=True))

  @parameterized.parameters(*_BAD)
  def test_bad_command_line(self, name: str):
    ended = self.ended[name]
    self.assertEqual(ended.code, 2, ended)
    self.assertStartsWith(ended.stderr, 'error: ')
    self.assertLen(ended.stderr.splitlines(), 1)
    self.assertIn(_BAD[name][1], ended.stderr)
    self.assertNotIn('Traceback', ended.stderr)
    self.assertEmpty(ended.stdout)

  @parameterized.parameters(
    *_STAGES, 'launch.flow', 'launch.quickstart', 'launch.sweep'
  )
  def test_help(self, stage: str):
    ended = self.ended[stage]
    self.assertEqual(ended.code, 0, ended)
    for flag in ('--workdir', '--config', '--[no]dry_run', '--config.'):
      self.assertIn(f'  {flag}', ended.stdout)
    # A study's seeds are those of its runs, and some binaries draw nothing.
    drawless = ('launch.check_dictionary', 'launch.convert_published')
    if stage not in ('launch.sweep', *drawless):
      self.assertIn('seed=0\n', ended.stdout)
    self.assertEmpty(ended.stderr)


class PrecisionTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    before = jax.config.values['jax_default_matmul_precision']
    self.addCleanup(jax.config.update, 'jax_default_matmul_precision', before)

  def precision(self):
    """Of a product of float32, as the compiler is asked for it."""
    text = jax.jit(lambda x: x @ x).lower(np.ones((2, 2), np.float32)).as_text()
    return re.findall(r'precision = \[(\w+), (\w+)\]', text)

  def test_products_are_float32_unless_something_else_is_chosen(self):
    jax.config.update('jax_default_matmul_precision', None)
    self.assertEqual(self.precision(), [('DEFAULT', 'DEFAULT')])
    cli.keep_float32()
    self.assertEqual(self.precision(), [('HIGHEST', 'HIGHEST')])
    jax.config.update('jax_default_matmul_precision', 'bfloat16')
    cli.keep_float32()
    self.assertNotEqual(self.precision(), [('HIGHEST', 'HIGHEST')])

  def test_a_binary_works_in_float32(self):
    jax.config.update('jax_default_matmul_precision', None)
    seen = []
    values = dict(config=None, workdir='/nowhere', dry_run=False)
    with contextlib.ExitStack() as stack:
      for name, value in values.items():
        flag = types.SimpleNamespace(name=name, value=value)
        stack.enter_context(mock.patch.object(cli, f'_{name.upper()}', flag))
      stack.enter_context(mock.patch.object(cli.preemption, 'listen'))
      stack.enter_context(
        mock.patch.object(
          cli.app, 'run', lambda main, argv, flags_parser: main(argv[:1])
        )
      )
      cli.launch(lambda *_: seen.extend(self.precision()), config='a.py')
    self.assertEqual(seen, [('HIGHEST', 'HIGHEST')])


if __name__ == '__main__':
  absltest.main()
