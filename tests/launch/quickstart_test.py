# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of all stages together, on the smallest world and models."""

import contextlib
import io
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import numpy as np
from pyarrow import parquet
from safetensors import numpy as safetensors

from experiments import quickstart as quickstart_config
from experiments.privileged_access import study as privileged_access
from launch import evaluate_fidelity
from launch import quickstart
from launch import train_explainer
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.data import explanations
from selfexplain_jax.distributed import preemption
from selfexplain_jax.explainer import injection
from selfexplain_jax.explainer import replay
from selfexplain_jax.studies import sums as sums_lib
from selfexplain_jax.tasks import table as table_lib
from tests.launch import whole

_CONTROLS = ('nearest_neighbour', 'metadata', 'majority')
_VECTORS = ('shuffled_vector', 'zero_vector', 'wrong_layer')
_ARMS = {
  'features': ('self', 'stranger', *_VECTORS, 'untrained', *_CONTROLS, 'label'),
  'patching': ('self', 'stranger', *_VECTORS, 'untrained', *_CONTROLS),
  'ablation': ('self', 'stranger', 'untrained', *_CONTROLS, 'black_box'),
}


class _Stopped(Exception):
  """What a test lets happen in the middle of a stage."""


class QuickstartTest(parameterized.TestCase):
  run_: pathlib.Path
  printed: str

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_, cls.printed = whole.run()

  def setUp(self):
    super().setUp()
    # Where a stage fails, the one beside it is asked to leave.
    self.addCleanup(setattr, preemption, '_asked', False)

  def figures(self, task: str = 'patching') -> dict:
    name = self.run_ / f'{task}_evaluation/metrics.json'
    return files.read_json(name, 'figures')

  def test_files_of_the_contract(self):
    for name in (
      'target/model/model.safetensors',
      'target/metrics.jsonl',
      'target/checkpoints',
      'stranger/model/pretraining.json',
      'store/manifest.json',
      'documents/manifest.json',
      'dictionary/dictionaries/blocks.1.hook_resid_post/cfg.json',
      'features/documents.parquet',
      'patching/manifest.json',
      'patching/records.parquet',
      'patching/vectors',
      'self_explainer/model/explainer.json',
      'self_explainer/checkpoints',
      'self_explainer/events',
      'stranger_explainer/metrics.json',
      'features_evaluation/exemplars.parquet',
      'report.html',
    ):
      self.assertTrue((self.run_ / name).exists(), name)
    self.assertIn(str(self.run_ / 'report.html'), self.printed)
    report = (self.run_ / 'report.html').read_text()
    for task, arms in _ARMS.items():
      folder = self.run_ / f'{task}_evaluation'
      for name in ('config.json', 'metrics.json', 'predictions.parquet'):
        self.assertTrue((folder / name).exists(), (task, name))
      self.assertIn(f'href="{task}_evaluation/report.html"', report)
      self.assertTrue((folder / 'report.html').exists())
      for arm in arms:
        self.assertIn(f'\n{arm} ', self.printed)

  @parameterized.parameters(*_ARMS)
  def test_metrics_have_the_fields_of_the_contract(self, task):
    figures = self.figures(task)
    self.assertContainsSubset(
      ('n', 'rows', 'seed', 'target', 'task', 'tests', 'versions'), figures
    )
    self.assertEqual(figures['task'], task)
    device = jax.devices()[0].device_kind
    self.assertEqual(figures['versions']['device'], device)
    self.assertEqual(figures['dtype'], 'float32')
    self.assertEqual(figures.get('disagreements_with_store', 0), 0)
    self.assertSameElements(figures['rows'], _ARMS[task])
    for arm in _ARMS[task]:
      low, high = figures['rows'][arm]['exact_match']['ci95']
      self.assertBetween(
        figures['rows'][arm]['exact_match']['value'], low, high
      )
    for arm in _ARMS[task][1:]:
      test = figures['tests'][f'self_minus_{arm}']['exact_match']
      self.assertBetween(test['p'], 0, 1)

  @parameterized.parameters(*_ARMS)
  def test_predictions_have_a_row_for_each_arm_and_record(self, task):
    table = parquet.read_table(
      self.run_ / f'{task}_evaluation/predictions.parquet'
    )
    count = table.group_by('arm').aggregate([('record', 'count_distinct')])
    self.assertSameElements(count['arm'].to_pylist(), _ARMS[task])
    self.assertLen(set(count[1].to_pylist()), 1)

  def test_the_target_asked_twice_is_always_right(self):
    rows = self.figures('ablation')['rows']
    self.assertEqual(rows['black_box']['exact_match']['value'], 1)

  def test_second_run_does_nothing(self):
    def state():
      every = [f for f in self.run_.rglob('*') if f.is_file()]
      return {f: (f.stat().st_mtime_ns, f.stat().st_size) for f in every}

    before = state()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      quickstart.run(quickstart_config.get_config('test'), str(self.run_))
    self.assertEqual(state(), before)
    self.assertEqual(printed.getvalue(), self.printed)

  def test_a_relative_workdir_is_the_same(self):
    before = os.getcwd()
    self.addCleanup(os.chdir, before)
    os.chdir(self.run_.parent)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      quickstart.run(quickstart_config.get_config('test'), self.run_.name)
    self.assertEqual(printed.getvalue(), self.printed)

  def test_dry_run_tells_sizes_and_writes_nothing(self):
    workdir = pathlib.Path(self.create_tempdir().full_path) / 'none'
    with self.assertLogs() as log:
      quickstart.run(quickstart_config.get_config(), str(workdir), True)
    lines = [record.getMessage() for record in log.records]
    self.assertIn('dictionary: features 512, k 12, steps 600, batch 512', lines)
    pretraining = [line for line in lines if line.startswith('Pretraining: ')]
    self.assertLen(pretraining, 2)  # They have no inputs, and tell themselves.
    self.assertLen([line for line in lines if line.startswith('Step ')], 7)
    self.assertLen(lines, 7 + 13 + 2)
    self.assertFalse(workdir.exists())

  def test_another_config_is_refused(self):
    config = quickstart_config.get_config('test')
    config.self_explainer.steps = 5
    with self.assertRaisesRegex(
      errors.InputError, 'self_explainer/config.json was begun with steps=4'
    ):
      quickstart.run(config, str(self.run_))

  def test_set_whose_effects_are_lies(self):
    honest = explanations.read(self.run_ / 'patching')
    rows = [dict(row) for row in honest.rows]
    lies = honest.split('test')[:5].tolist()
    for i in lies:
      rows[i]['changed'] = not rows[i]['changed']
      rows[i]['treated_id'] = rows[i]['clean_id'] + rows[i]['changed']
    lying = self.create_tempdir().full_path
    schema = table_lib.task('patching').language.SCHEMA
    explanations.write(lying, rows, schema, honest.vectors, honest.manifest)

    config = whole.stage_config('patching_evaluation')
    config.explanations = lying
    config.explainers = dict(self='', stranger='', twin='', text_only='')
    workdir = self.create_tempdir().full_path
    evaluate_fidelity.run(config, workdir)
    found = files.read_json(f'{workdir}/metrics.json', 'figures')
    expected = self.figures()
    self.assertEqual(found['disagreements_with_store'], len(lies))
    self.assertSameElements(found['rows'], _CONTROLS)
    for arm in _CONTROLS:
      self.assertEqual(found['rows'][arm], expected['rows'][arm])
      self.assertEqual(found['confusion'][arm], expected['confusion'][arm])
    # The lies are about enough records to be seen in any score they enter.
    verdicts = [honest.rows[i]['changed'] for i in lies]
    self.assertNotIn(sum(verdicts), (0, len(verdicts) / 2, len(verdicts)))

  def test_some_arms_say_what_they_say_beside_others(self):
    for task, named in privileged_access.BASELINES.items():
      config = whole.stage_config(f'{task}_evaluation')
      config.arms = named
      workdir = self.create_tempdir().full_path
      evaluate_fidelity.run(config, workdir)
      found = files.read_json(f'{workdir}/metrics.json', 'figures')
      self.assertSameElements(found['rows'], named)
      expected = self.figures(task)
      for arm in named:
        self.assertEqual(found['rows'][arm], expected['rows'][arm], arm)
      # As a study reads them.
      digest, sums = sums_lib.read(workdir, task, named)
      self.assertEqual(list(sums), list(named))
      whole_ = self.run_ / f'{task}_evaluation'
      self.assertEqual(sums_lib.read(whole_, task, ('self',))[0], digest)

  @parameterized.parameters(('replace_embedding', 2), ('scale_and_bias', 0))
  def test_an_explainer_of_another_kind(self, mode, rank):
    config = whole.stage_config('self_explainer')
    config.update(dict(injection=mode, lora_rank=rank))
    config.explanations = dict(
      features='', patching=config.explanations.patching, ablation=''
    )
    place = pathlib.Path(self.create_tempdir().full_path)
    train_explainer.run(config, str(place / 'trained'))

    notes = files.read_json(place / 'trained/model/explainer.json', 'notes')
    self.assertEqual(notes['injection'], mode)
    weights = safetensors.load_file(place / 'trained/model/model.safetensors')
    before = safetensors.load_file(self.run_ / 'target/model/model.safetensors')
    self.assertSameElements(weights, before)
    same = {n for n in before if np.array_equal(weights[n], before[n])}
    self.assertNotIn('model.layers.0.self_attn.q_proj.weight', same)
    # An adapter leaves norms alone.
    self.assertEqual('model.norm.weight' in same, rank > 0)

    config = whole.stage_config('patching_evaluation')
    config.explainers = dict(
      self=str(place / 'trained/model'), stranger='', twin='', text_only=''
    )
    config.arms = ('self', 'shuffled_vector', 'untrained')
    evaluate_fidelity.run(config, str(place / 'evaluated'))
    found = files.read_json(place / 'evaluated/metrics.json', 'figures')
    self.assertSameElements(found['rows'], config.arms)

  def test_an_interrupted_explainer_ends_alike(self):
    config = whole.stage_config('self_explainer')
    # Where a run saves must not matter, nor that it saves between evaluations.
    config.checkpoint_every = 3
    workdir = pathlib.Path(self.create_tempdir().full_path)
    batches = replay.mixed

    def some(*args):
      for number, batch in enumerate(batches(*args)):
        if number == 3:
          raise _Stopped
        yield batch

    with mock.patch.object(replay, 'mixed', some):
      with self.assertRaises(_Stopped):
        train_explainer.run(config, str(workdir))
    self.assertFalse((workdir / 'metrics.json').exists())
    train_explainer.run(config, str(workdir))
    self.assert_same_files('self_explainer', workdir, 'metrics.json', 'model/*')

  def test_an_interrupted_evaluation_ends_alike(self):
    config = whole.stage_config('patching_evaluation')
    workdir = pathlib.Path(self.create_tempdir().full_path)
    with mock.patch.object(injection, 'make', side_effect=_Stopped):
      with self.assertRaises(_Stopped):
        evaluate_fidelity.run(config, str(workdir))
    self.assertTrue((workdir / 'answers/shuffled_vector.json').exists())
    self.assertFalse((workdir / 'answers/untrained.json').exists())
    evaluate_fidelity.run(config, str(workdir))
    self.assert_same_files(
      'patching_evaluation',
      workdir,
      '*.json',
      '*.parquet',
      '*.html',
      'answers/*',
    )

  def assert_same_files(self, stage, workdir, *patterns):
    named = [f for p in patterns for f in (self.run_ / stage).glob(p)]
    self.assertNotEmpty(named)
    for file in named:
      other = workdir / file.relative_to(self.run_ / stage)
      self.assertEqual(file.read_bytes(), other.read_bytes(), file)


if __name__ == '__main__':
  absltest.main()
