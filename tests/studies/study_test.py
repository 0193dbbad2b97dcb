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

  def test_a_best_rate_at_an_end_leads_beyond_it(self):
    made = {}

    def run(rate):
      return made.setdefault(rate, runs.make_run(f'at {rate}', rate=rate))

    def rates():
      swept = study.swept(run, (0.2, 0.1), self.results)
      return [r.facts['rate'] for r in swept]

    self.assertEqual(rates(), [0.1, 0.2])
    self.finish(run(0.1), 0.5)
    self.assertEqual(rates(), [0.1, 0.2])
    self.finish(run(0.2), 0.6)
    self.assertEqual(rates(), [0.1, 0.2, 0.4])
    self.assertIsNone(
      study.best_rate(study.swept(run, made, self.results), self.results)
    )
    self.finish(run(0.4), 0.7)
    self.assertEqual(rates(), [0.1, 0.2, 0.4, 0.8])
    # Twice, and no further.
    self.finish(run(0.8), 0.8)
    self.assertEqual(rates(), [0.1, 0.2, 0.4, 0.8])

  def test_the_lowest_leads_to_half_of_it_until_it_is_inside(self):
    made = {}

    def run(rate):
      return made.setdefault(rate, runs.make_run(f'at {rate}', rate=rate))

    for rate, validation in ((0.1, 0.6), (0.2, 0.5), (0.05, 0.4)):
      self.finish(run(rate), validation)
    swept = study.swept(run, (0.1, 0.2), self.results)
    self.assertEqual([r.facts['rate'] for r in swept], [0.05, 0.1, 0.2])

  def test_a_single_rate_is_no_choice(self):
    self.finish(self.swept[0], 0.5)
    swept = study.swept(lambda _: self.swept[0], (0.1,), self.results)
    self.assertEqual(swept, [self.swept[0]])

  def test_of_equal_rates_the_lowest(self):
    for run in self.swept:
      self.finish(run, 0.5)
    self.assertEqual(study.best_rate(self.swept[::-1], self.results), 0.1)


if __name__ == '__main__':
  absltest.main()
