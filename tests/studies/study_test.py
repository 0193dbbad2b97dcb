# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of results on disk, and of how a learning rate is chosen by them."""

import json
import pathlib

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.studies import study
from tests.studies import runs


class StudyTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.results = study.Results(self.folder)
    self.swept = [runs.make_run(f'at {r}', rate=r) for r in (0.1, 0.2, 0.4)]

  def finish(self, run, validation):
    by_arm = {'self': runs.sums([1, 2], [1, 0])}
    made = runs.make_result(run.digest, by_arm, validation, name=run.name)
    made.write(self.folder)
    return made

  def test_results_are_found_when_they_are_there(self):
    run = self.swept[0]
    self.assertIsNone(self.results.of(run))
    made = self.finish(run, 0.5)
    # By another process, for what it is worth.
    for results in (self.results, study.Results(self.folder)):
      found = results.of(run)
      self.assertEqual(found.digest, made.digest)
      self.assertEqual((found.validation, found.minutes), (0.5, 2.0))
      self.assertEqual(found.facts, made.facts)
      for metric, values in made.sums['self'].items():
        np.testing.assert_array_equal(found.sums['self'][metric], values)
    self.assertIsNone(self.results.of(self.swept[1]))

  def test_a_file_is_small(self):
    rng = np.random.default_rng(0)
    counts = rng.integers(40, size=(2, 40))
    table = rng.integers(40, size=(40, 6))
    by_arm = {a: runs.sums(*counts, table) for a in ('self', 'shuffled_vector')}
    runs.make_result('a' * 64, by_arm).write(self.folder)
    (file,) = self.folder.iterdir()
    self.assertLess(file.stat().st_size, 6_000)

  def test_a_damaged_file_is_refused(self):
    run = self.swept[0]
    self.finish(run, 0.5)
    (file,) = self.folder.iterdir()
    whole = json.loads(file.read_text())
    without = {k: v for k, v in whole.items() if k != 'questions'}
    for content, said in (
      (json.dumps(whole)[:-9], 'not valid JSON'),
      (json.dumps(without), 'is not the result of a run'),
      (json.dumps({**whole, 'digest': 'b' * 64}), 'is the result of run bbbb'),
    ):
      file.write_text(content)
      with self.assertRaisesRegex(errors.InputError, said):
        study.Results(self.folder).of(run)

  def test_best_rate(self):
    for run, validation in zip(self.swept[:2], (0.5, 0.25)):
      self.finish(run, validation)
    # Not before all are there.
    self.assertIsNone(study.best_rate(self.swept, self.results))
    self.assertEqual(study.best_rate(self.swept[:2], self.results), 0.1)
    self.finish(self.swept[2], 0.75)
    self.assertEqual(study.best_rate(self.swept, self.results), 0.4)

  def test_of_equal_rates_the_lowest(self):
    for run in self.swept:
      self.finish(run, 0.5)
    self.assertEqual(study.best_rate(self.swept[::-1], self.results), 0.1)


if __name__ == '__main__':
  absltest.main()
