# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of training a simulator and scoring with it, on the smallest world."""

import os
import pathlib
from unittest import mock

from absl.testing import absltest
import ml_collections
from pyarrow import parquet

from experiments.features import simulator as simulator_config
from launch import evaluate_fidelity
from launch import train_simulator
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.training import checkpoints
from tests.judges import stub
from tests.launch import whole


class _Stopped(Exception):
  """What a test lets happen in the middle of the training."""


def _config() -> ml_collections.ConfigDict:
  run, _ = whole.run()
  config = simulator_config.get_config()
  config.target = config.initial = str(run / 'target/model')
  config.dictionary = str(run / 'dictionary')
  config.explanations = str(run / 'features')
  config.store = str(run / 'documents')
  config.length, config.steps, config.batch = 32, 4, 4
  config.evaluate_every = config.checkpoint_every = 2
  config.validation_examples = 3
  return config


def _bytes(folder: pathlib.Path) -> dict[str, bytes]:
  kept = (
    'metrics.json',
    'metrics.jsonl',
    *sorted(os.listdir(folder / 'model')),
  )
  return {
    name: (folder / name).read_bytes()
    if (folder / name).exists()
    else (folder / 'model' / name).read_bytes()
    for name in kept
    if name != 'metrics.jsonl'  # It has times.
  }


class TrainSimulatorTest(absltest.TestCase):
  made: pathlib.Path

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.made = pathlib.Path(absltest.get_default_test_tmpdir()) / 'simulator'
    train_simulator.run(_config(), str(cls.made))

  def test_what_is_written(self):
    note = files.read_json(self.made / 'model/simulator.json', 'note')
    explained = explanations.read(_config().explanations)
    target = explained.manifest['target']
    self.assertEqual(note['convention'], 'plain')
    self.assertEqual(note['tokenizer_hash'], target['tokenizer_hash'])
    self.assertEqual(note['training']['target'], target['weight_hash'])
    self.assertEqual(note['training']['initial'], target['weight_hash'])
    self.assertEqual(
      note['training']['records_digest'], explained.manifest['records_digest']
    )
    figures = files.read_json(self.made / 'metrics.json', 'figures')
    self.assertEqual([p['step'] for p in figures['curve']], [2, 4])
    for point in figures['curve']:
      self.assertEqual(
        point.keys(), {'step', 'simulator', 'shuffled_description'}
      )

  def test_goes_on_after_it_was_stopped_and_ends_the_same(self):
    workdir = self.create_tempdir().full_path
    saved = checkpoints.Checkpoints.save

    def stop(self, step, state, meta):
      saved(self, step, state, meta)
      raise _Stopped

    with mock.patch.object(checkpoints.Checkpoints, 'save', stop):
      with self.assertRaises(_Stopped):
        train_simulator.run(_config(), workdir)
    train_simulator.run(_config(), workdir)
    self.assertEqual(_bytes(pathlib.Path(workdir)), _bytes(self.made))

  def test_a_finished_one_is_left_alone(self):
    with mock.patch.object(train_simulator, '_read') as read:
      train_simulator.run(_config(), str(self.made))
    read.assert_not_called()

  def test_a_dry_run_writes_nothing(self):
    workdir = pathlib.Path(self.create_tempdir().full_path) / 'none'
    train_simulator.run(_config(), str(workdir), dry_run=True)
    self.assertFalse(workdir.exists())

  def test_what_does_not_belong_together_is_refused(self):
    run, _ = whole.run()
    for changes, message in (
      ({'store': ''}, 'config.store is missing'),
      ({'explanations': str(run / 'patching')}, "task 'patching': expected"),
      ({'target': str(run / 'stranger/model')}, 'another model'),
      ({'length': 33}, 'no document of 33 tokens'),
      ({'steps': 0}, 'steps=0: expected at least 1'),
    ):
      config = _config()
      config.update(changes)
      with self.assertRaisesRegex(errors.InputError, message):
        train_simulator.run(config, self.create_tempdir().full_path)

  def _evaluate(self, **changes):
    config = whole.stage_config('features_evaluation')
    config.arms, config.examples = ('label', 'majority'), 6
    config.explainers.update({'self': '', 'stranger': ''})
    config.update(changes)
    workdir = pathlib.Path(self.create_tempdir().full_path)
    evaluate_fidelity.run(config, str(workdir))
    return workdir, files.read_json(workdir / 'metrics.json', 'figures')

  def test_descriptions_are_scored_with_it(self):
    workdir, figures = self._evaluate(simulator=str(self.made / 'model'))
    self.assertEqual(figures['simulator']['kind'], 'trained')
    self.assertLen(figures['simulator']['model'], 64)
    self.assertIn('simulator', figures['rows']['label'])
    table = parquet.read_table(workdir / 'predictions.parquet')
    self.assertIn('simulator_per_sequence', table.column_names)
    self.assertIn(
      figures['simulator']['model'], (workdir / 'report.html').read_text()
    )

  def test_descriptions_are_judged_by_a_model_behind_an_endpoint(self):
    cache = self.create_tempdir().full_path
    with stub.serving(lambda request: '4') as server:
      judge = stub.config(server.url, cache)
      _, figures = self._evaluate(judge=judge)
      asked = len(server.requests)
      self.assertGreater(asked, 0)
      _, again = self._evaluate(judge=judge)
      self.assertLen(server.requests, asked)
    self.assertEqual(figures, again)
    self.assertEqual(figures['similarity']['model'], 'stub-1')
    self.assertEqual(
      figures['similarity']['missing'], {'label': 0, 'majority': 0}
    )
    self.assertEqual(figures['rows']['label']['similarity']['value'], 1)

  def test_what_cannot_judge_is_refused_before_anything_is_run(self):
    with mock.patch.object(evaluate_fidelity.explanations, 'read') as read:
      with self.assertRaisesRegex(errors.InputError, 'judge.kind'):
        self._evaluate(judge={'kind': 'oracle'})
    read.assert_not_called()


if __name__ == '__main__':
  absltest.main()
