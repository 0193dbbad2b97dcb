# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that a training run ends alike wherever it was interrupted."""

import itertools
import os
import pathlib
import shutil
import signal
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections

from experiments.world import pretrain
from launch import pretrain_target
from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption
from selfexplain_jax.training import language_modelling
from tests.launch import binaries

_SIZES = {
  'world.people': 48,
  'model.width': 16,
  'model.layers': 1,
  'model.heads': 2,
  'model.kv_heads': 2,
  'model.head_width': 8,
  'model.mlp_width': 16,
  'steps': 6,
  'batch': 2,
  'checkpoint_every': 2,
}


class Failure(Exception):
  """What a test lets happen in the middle of a run."""


def _config() -> ml_collections.ConfigDict:
  config = pretrain.get_config('target')
  config.update_from_flattened_dict(_SIZES)
  return config


def _interrupted(when: int, interrupt):
  """Patches the batches to call `interrupt` before batch `when` of a run."""
  batches = language_modelling.batches

  def some(*args):
    for number, batch in enumerate(batches(*args)):
      if number == when:
        interrupt()
      yield batch

  return mock.patch.object(language_modelling, 'batches', some)


def _fail() -> None:
  raise Failure


def _terminate() -> None:
  os.kill(os.getpid(), signal.SIGTERM)


def _results(workdir: pathlib.Path) -> dict[str, bytes]:
  """Everything that a run ends with, by name, but for its log."""
  results = [workdir / 'metrics.json', *(workdir / 'model').iterdir()]
  return {file.name: file.read_bytes() for file in results}


def _damage(folder: pathlib.Path) -> None:
  """Flips one bit of the largest file, which holds the arrays."""
  files = [file for file in folder.rglob('*') if file.is_file()]
  largest = max(files, key=lambda file: file.stat().st_size)
  content = bytearray(largest.read_bytes())
  content[len(content) // 2] ^= 1
  largest.write_bytes(content)


class PretrainTargetTest(parameterized.TestCase):
  straight: dict[str, bytes]

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    workdir = absltest.get_default_test_tmpdir() + '/straight'
    pretrain_target.run(_config(), workdir)
    cls.straight = _results(pathlib.Path(workdir))

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)
    for name in (signal.SIGINT, signal.SIGTERM):
      self.addCleanup(signal.signal, name, signal.getsignal(name))
    self.addCleanup(setattr, preemption, '_asked', False)

  def run_here(self):
    pretrain_target.run(_config(), str(self.workdir))

  def steps(self) -> list[int]:
    """Steps of the checkpoints."""
    folders = (self.workdir / 'checkpoints').iterdir()
    return sorted(int(f.name) for f in folders if f.name.isdigit())

  def test_all_results_are_compared(self):
    self.assertContainsSubset(
      ('metrics.json', 'model.safetensors', 'tokenizer.json'), self.straight
    )

  @parameterized.parameters(1, 3)
  def test_failed_run_resumes(self, when: int):
    with _interrupted(when, _fail), self.assertRaises(Failure):
      self.run_here()
    self.assertFalse((self.workdir / 'metrics.json').exists())
    self.run_here()
    self.assertEqual(_results(self.workdir), self.straight)

  def test_terminated_run_saves_at_once_and_resumes(self):
    preemption.listen()
    with _interrupted(2, _terminate), self.assertRaises(preemption.Preempted):
      self.run_here()
    self.assertIn(3, self.steps())
    preemption._asked = False
    with _interrupted(3, _fail):  # Three batches are left, and no fourth.
      self.run_here()
    self.assertEqual(_results(self.workdir), self.straight)

  def test_run_that_was_killed_after_its_last_checkpoint(self):
    self.run_here()
    (self.workdir / 'metrics.json').unlink()
    with _interrupted(0, _fail):  # Nothing is left to train.
      self.run_here()
    self.assertEqual(_results(self.workdir), self.straight)

  def test_damaged_checkpoint_is_passed_over(self):
    with _interrupted(5, _fail), self.assertRaises(Failure):
      self.run_here()
    self.assertEqual(self.steps(), [2, 4])
    _damage(self.workdir / 'checkpoints/4/state')
    numbers = itertools.count()
    with (
      _interrupted(0, lambda: next(numbers)),
      self.assertLogs(level='WARNING') as log,
    ):
      self.run_here()
    self.assertIn('Passing over checkpoint 4', log.output[0])
    self.assertEqual(next(numbers), 1)
    self.assertEqual(_results(self.workdir), self.straight)

  def test_no_whole_checkpoint(self):
    with _interrupted(3, _fail), self.assertRaises(Failure):
      self.run_here()
    _damage(self.workdir / 'checkpoints/2/state')
    # What may be days of work is not begun anew without a word.
    with self.assertRaisesRegex(errors.InputError, 'steps 2, and none of them'):
      self.run_here()
    shutil.rmtree(self.workdir / 'checkpoints')
    self.run_here()
    self.assertEqual(_results(self.workdir), self.straight)

  def test_exit_code_of_a_terminated_binary(self):
    sizes = [f'--config.{name}={value}' for name, value in _SIZES.items()]
    (ended,) = binaries.run(
      ['tests.launch.terminated', f'--workdir={self.workdir}', *sizes]
    )
    self.assertEqual(ended.code, 75, ended)
    self.assertNotIn('Traceback', ended.stderr)
    self.assertEqual(self.steps(), [1])
    self.run_here()
    self.assertEqual(_results(self.workdir), self.straight)


if __name__ == '__main__':
  absltest.main()
