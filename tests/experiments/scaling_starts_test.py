# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the study over starts and sizes, with made-up results."""

import dataclasses
import io
import re

from absl.testing import absltest
import numpy as np
import pyarrow as pa
from pyarrow import csv

from experiments.scaling import starts
from selfexplain_jax.studies import study
from tests.studies import runs

_ALL = 20_000
_RATIO = {'self': 1.0, 'twin': 1.5, 'stranger': 3.0}


class ScalingStartsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.config = starts.get_config()
    self.results = study.Results(self.create_tempdir().full_path)

  def finish(self, run):
    arm = run.facts['arm']
    count = run.facts['examples'] or _ALL
    share = 0.6 - 0.5 * (count / _RATIO[arm] / 30) ** -0.4
    exact = np.tile([1000 * share, 1000.0], (8, 1))
    table = np.tile([share, 1 - share, 0, 1 - share, share, 0], (8, 1))
    sums = dict.fromkeys(
      ('exact_match', 'exact_match_changed', 'exact_match_balanced'), exact
    )
    made = runs.make_result(
      run.digest,
      {
        'self': {**sums, 'macro_f1': table},
        'shuffled_vector': {**sums, 'macro_f1': table},
      },
      validation=0.5,
      examples=count,
    )
    # Results are shared: another study's facts may be in them.
    made = dataclasses.replace(made, facts={'arm': 'of another', 'seed': 7})
    made.write(self.results.directory)

  def test_thirty_six_runs_that_differ(self):
    plan = starts.plan(self.config, self.results)
    self.assertLen({run.digest for run in plan.runs}, 36)
    self.assertEqual([r.facts['examples'] for r in plan.runs[:6]], [100] * 6)
    for run in plan.runs:
      trained = run.explainer.config
      self.assertEqual(trained.examples, run.facts['examples'])
      self.assertEqual(trained.seed, run.facts['seed'])
      self.assertEqual(
        run.explainer.inputs['initial'].recipe.name,
        starts.ARMS[run.facts['arm']],
      )

  def test_what_is_collected(self):
    for run in starts.plan(self.config, self.results).runs:
      self.finish(run)
    found = starts.collect(self.config, self.results)
    self.assertEqual(found.summary['undone'], [])
    one = found.summary['exact_match']
    for arm, ratio in _RATIO.items():
      fit = one['fits'][arm]['parameters']
      self.assertAlmostEqual(fit['rate']['value'], 0.4, delta=0.01)
      self.assertAlmostEqual(fit['top']['value'], 0.6, delta=0.01)
      self.assertEqual([p['seeds'] for p in one['curves'][arm]], [2] * 6)
      if arm != 'self':
        self.assertAlmostEqual(one['ratios'][arm]['value'], ratio, 1)
    table = found.tables['runs']
    self.assertEqual(table.num_rows, 36)
    self.assertLen(set(table['run'].to_pylist()), 36)
    self.assertEqual(
      table['arm'].to_pylist(), [a for a in _RATIO for _ in range(12)]
    )
    self.assertIn('300 examples', found.pages['study'])
    page = found.pages['study']
    self.assertEqual(page.count('saturating power law'), 9)
    self.assertIn('<svg', page)
    self.assertIsNone(re.search(r'https?://(?!www\.w3\.org)', page))
    again = starts.collect(self.config, study.Results(self.results.directory))
    self.assertEqual(again.pages, found.pages)
    content = io.BytesIO()
    csv.write_csv(table, content)
    read = csv.read_csv(pa.BufferReader(content.getvalue()))
    self.assertEqual(read['arm'].to_pylist(), table['arm'].to_pylist())

  def test_of_a_part(self):
    for run in starts.plan(self.config, self.results).runs[:9]:
      self.finish(run)
    found = starts.collect(self.config, self.results)
    self.assertLen(found.summary['undone'], 27)
    fits = found.summary['exact_match']['fits']
    self.assertEqual(fits['self']['form'], 'log-linear trend')
    self.assertIn('27 runs are not done yet', found.pages['study'])

  def test_nothing_done_yet(self):
    found = starts.collect(self.config, self.results)
    self.assertLen(found.summary['undone'], 36)
    self.assertEqual((found.plots, found.tables), ({}, {}))


if __name__ == '__main__':
  absltest.main()
