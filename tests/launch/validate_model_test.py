# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the command line of `launch.validate_model`."""

import importlib.util
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import ml_dtypes
from safetensors import numpy as safetensors_numpy

from selfexplain_jax import files
from tests.launch import binaries

_MODELS = binaries.ROOT / 'tests/models/data'
_BINARY = 'launch.validate_model'
_MODEL = f'--model={_MODELS}/llama_tied_scaled'
_TORCH = importlib.util.find_spec('torch') is not None

# A command line and what its one line on stderr names.
_BAD = {
  'no model': ([], '--model is missing: expected a directory'),
  'a folder without a model': (['--model=launch'], 'launch/config.json'),
  'no dtype': ([_MODEL, '--dtype=float16'], '--dtype=float16'),
  'no batch': ([_MODEL, '--batch=0'], '--batch=0'),
  'more positions than there are': (
    [_MODEL, '--length=193'],
    '--length=193: expected at most 192',
  ),
  'a flag of other binaries': ([_MODEL, '--workdir=/tmp'], "'workdir'"),
  'a config': ([_MODEL, '--config=experiments/explainer.py'], "'config'"),
  'stray argument': ([_MODEL, 'stray'], "argument 'stray'"),
}
if not _TORCH:
  _BAD['no reference'] = (
    [_MODEL, '--reference'],
    "installed: expected it after `pip install 'selfexplain_jax[reference]'`",
  )


class ValidateModelTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    ended = binaries.run(*([_BINARY, *line] for line, _ in _BAD.values()))
    cls.bad = dict(zip(_BAD, ended, strict=True))

  @parameterized.parameters(*_BAD)
  def test_bad_command_line(self, name):
    ended = self.bad[name]
    self.assertEqual(ended.code, 2, ended)
    self.assertStartsWith(ended.stderr, 'error: ')
    self.assertLen(ended.stderr.splitlines(), 1)
    self.assertIn(_BAD[name][1], ended.stderr)
    self.assertEmpty(ended.stdout)

  def test_help_names_its_flags_alone(self):
    (ended,) = binaries.run([_BINARY, '--help'])
    self.assertEqual(ended.code, 0, ended)
    for flag in ('model', '[no]reference', 'dtype', 'batch', 'length', 'seed'):
      self.assertIn(f'  --{flag}:', ended.stdout)
    for flag in ('workdir', 'config', 'dry_run'):
      self.assertNotIn(f'{flag}:', ended.stdout)
    self.assertEmpty(ended.stderr)

  def test_a_sound_model_and_a_damaged_one(self):
    folder = files.path(self.create_tempdir().full_path) / 'model'
    shutil.copytree(_MODELS / 'llama', folder)
    weights = folder / 'model.safetensors'
    tensors = safetensors_numpy.load(weights.read_bytes())
    name = 'model.norm.weight'
    tensors[name] = tensors[name].astype(ml_dtypes.bfloat16)
    files.write_bytes(weights, safetensors_numpy.save(tensors))
    small = ('--batch=3', '--length=8')
    sound, damaged = binaries.run(
      [_BINARY, _MODEL, '--dtype=bfloat16', *small],
      [_BINARY, f'--model={folder}', *small],
    )
    self.assertEqual(sound.code, 0, sound)
    for said in (': llama, 2 layers of width 16', ' parameters, ', ' bytes'):
      self.assertIn(said, sound.stdout)
    self.assertEqual(sound.stdout.count('\nok '), 7, sound)
    self.assertEmpty(sound.stderr)
    self.assertEqual(damaged.code, 1, damaged)
    self.assertEqual(damaged.stdout.count('\nok '), 6, damaged)
    self.assertEqual(
      damaged.stderr,
      f'failed: tensors: {name} is bfloat16: config.json says float32\n',
    )


if __name__ == '__main__':
  absltest.main()
