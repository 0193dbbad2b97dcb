# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the sweep: its command line, and one run from nothing."""

import contextlib
import io
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import flagsaver

from experiments.privileged_access import study as privileged_access
from launch import sweep
from launch import train_explainer
from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.distributed import preemption
from selfexplain_jax.studies import study as study_lib
from tests.launch import binaries

_CONFIG = '--config=experiments/privileged_access/study.py'
_STARTS = '--config=experiments/scaling/starts.py:test'
_W = '--workdir=/nowhere/out'


class CommandLineTest(absltest.TestCase):
  def test_what_it_says_and_exits_with(self):
    told, listed, sized, *wrong = binaries.run(
      ['launch.sweep', _W, _STARTS, '--commands=python -m launch.'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--list'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--dry_run'],
      ['launch.sweep', _W, f'{_CONFIG}:nothing'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--config.module=no.study'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--config.module=json'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--config.module='],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--config.steps=0'],
      ['launch.sweep', _W, '--config=experiments/scaling/examples.py:no'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--list', '--collect'],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--commands='],
      ['launch.sweep', _W, f'{_CONFIG}:test', '--commands=', '--dry_run'],
      ['launch.sweep', _W, _STARTS, '--config.size=no', '--list'],
    )
    self.assertEqual(told.code, 0, told.stderr)
    # Three models, a store, a set, six explainers and their evaluations.
    self.assertLen(told.stdout.splitlines(), 3 + 1 + 1 + 2 * 6)
    self.assertEqual(listed.code, 0, listed.stderr)
    lines = listed.stdout.splitlines()
    self.assertLen(lines, 5)
    self.assertRegex(
      lines[0], r'^to do +[0-9a-f]{16} +task patching, .*arm self'
    )
    self.assertRegex(
      lines[-1], r'^4 runs, 4 of them to do .* roughly [\d.]+ min'
    )
    self.assertEqual(sized, listed)
    self.assertFalse(pathlib.Path('/nowhere').exists())
    for ended, said in zip(
      wrong,
      (
        "no part 'nothing'",
        "config.module is 'no.study'",
        "'json', which has no plan",
        "config.module is ''",
        'steps=0: expected at least 1',
        "no part 'no'",
        '--collect writes a summary',
        'made by rotate, which is no binary',
        'expected one of them',
        "no size 'no' of a study",
      ),
      strict=True,
    ):
      self.assertEqual(ended.code, 2, ended.stderr)
      self.assertIn(said, ended.stderr)
      self.assertLen(ended.stderr.strip().splitlines(), 1)


class SweepTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.addCleanup(setattr, preemption, '_asked', False)
    # One run, that of the arm that needs most.
    self.enter_context(
      mock.patch.dict(
        privileged_access.OTHERS,
        {'test': {'patching': (('target', 'rotated_ridge'),)}},
      )
    )
    self.config = privileged_access.get_config('test')
    self.results = pathlib.Path(self.create_tempdir().full_path)
    self.config.results = str(self.results)

  def sweep(self, workdir) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      sweep.run(self.config, str(workdir))
    return printed.getvalue()

  def written(self) -> dict[pathlib.Path, bytes]:
    found = (f for f in self.results.rglob('*') if f.is_file())
    return {f: f.read_bytes() for f in found}

  def test_a_run_from_nothing(self):
    workdir = pathlib.Path(self.create_tempdir().full_path)
    printed = self.sweep(workdir)
    self.assertIn('rotated ridge', printed)
    plan = privileged_access.plan(
      self.config, study_lib.Results(self.results / 'runs')
    )
    (run,) = plan.runs
    place = self.results / 'runs' / f'{run.digest[:16]}.json'
    self.assertTrue(place.exists())

    # The figures are those of the evaluation.
    evaluation = workdir / run.evaluation.folder
    figures = files.read_json(evaluation / 'metrics.json', 'figures')
    self.assertSameElements(figures['rows'], run.arms)
    written = self.results / 'privileged_access' / 'summary.json'
    summary = files.read_json(written, 'summary')
    self.assertEqual(summary['undone'], [])
    row = summary['patching']['target']['rows']['rotated_ridge']
    for metric in ('exact_match', 'exact_match_changed', 'macro_f1'):
      self.assertEqual(
        row[metric]['value'], figures['rows']['self'][metric]['value']
      )
      self.assertEqual(
        row[metric]['ci95'], figures['rows']['self'][metric]['ci95']
      )
    balanced = figures['balanced_rows']['self']['exact_match']['value']
    self.assertEqual(row['exact_match_balanced']['value'], balanced)

    # With the file of the result, nothing is done again, wherever that is.
    kept = self.written()
    fresh = pathlib.Path(self.create_tempdir().full_path) / 'fresh'
    with mock.patch.object(train_explainer, 'run', side_effect=AssertionError):
      self.assertEqual(self.sweep(fresh), printed)
    self.assertFalse(fresh.exists())
    self.assertEqual(kept, self.written())

  @flagsaver.flagsaver(collect=True)
  def test_results_are_collected_without_a_run(self):
    workdir = pathlib.Path(self.create_tempdir().full_path) / 'fresh'
    self.sweep(workdir)
    self.assertFalse(workdir.exists())
    place = self.results / 'privileged_access' / 'summary.json'
    summary = files.read_json(place, 'summary')
    self.assertLen(summary['undone'], 1)

  def test_a_failing_run_is_told_at_the_end(self):
    for error, raised in (
      (errors.InputError('bad set'), errors.InputError),
      (ValueError('a fault'), RuntimeError),
    ):
      stages = dict.fromkeys(sweep._STAGES, mock.Mock(side_effect=error))
      with mock.patch.object(sweep, '_STAGES', stages):
        with self.assertRaisesRegex(raised, f'1 runs failed.*{error}'):
          self.sweep(self.create_tempdir().full_path)
      summary = self.results / 'privileged_access' / 'summary.json'
      self.assertLen(files.read_json(summary, 'summary')['undone'], 1)


if __name__ == '__main__':
  absltest.main()
