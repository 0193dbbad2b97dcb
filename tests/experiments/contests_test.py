# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of contests: what differs is counted, and the table says what was."""

import json
import pathlib
from unittest import mock

from absl.testing import absltest
import numpy as np

from experiments.benchmarks import capturing
from experiments.benchmarks import contests
from experiments.benchmarks import decoding
from experiments.benchmarks import dictionary
from experiments.benchmarks import fine_tuning
from experiments.benchmarks import patch_sweep
from experiments.benchmarks import products
from experiments.benchmarks import table


class DifferentTest(absltest.TestCase):
  def test_cells(self):
    ours = {
      'token': np.array([5, 6, 7, 8]),
      'margin': np.array([1.0, 1e-4, 2.0, 3.0]),
    }
    theirs = {
      'cells': np.array([3, 1, 0]),
      # Where the margin is narrow, either token is right.
      'token': np.array([8, 60, 5]),
      'margin': np.array([3.0, 2e-4, 1.0]),
    }
    self.assertEqual(patch_sweep.different(ours, theirs), 0)
    theirs['token'] = np.array([80, 60, 5])
    theirs['margin'] = np.array([3.0, 2e-4, 1.1])
    self.assertEqual(patch_sweep.different(ours, theirs), 2)

  def test_rows(self):
    rows = np.random.default_rng(0).normal(size=(6, 2, 4))
    others = rows.copy()
    self.assertEqual(capturing.different({'rows': rows}, {'rows': others}), 0)
    others[1, 1, 2] += 0.1
    others[4, 0, 0] = np.nan
    self.assertEqual(capturing.different({'rows': rows}, {'rows': others}), 2)
    self.assertEqual(
      dictionary.different({'made': rows[:, 0]}, {'made': others[:, 0]}), 1
    )
    self.assertEqual(
      products.different({'made': rows[:, 1]}, {'made': others[:, 1]}), 1
    )

  def test_losses(self):
    ours = {'loss': np.array(2.0), 'gradient_norm': np.array(0.5)}
    self.assertEqual(fine_tuning.different(ours, ours), 0)
    theirs = {'loss': np.array(2.001), 'gradient_norm': np.array(0.6)}
    self.assertEqual(fine_tuning.different(ours, theirs), 2)
    # That of an adapter's gradient is not known.
    self.assertEqual(fine_tuning.different({'loss': ours['loss']}, theirs), 1)

  def test_answers(self):
    ours = np.arange(12).reshape(3, 4)
    theirs = ours.copy()
    theirs[2, 3] = 0
    self.assertEqual(
      decoding.different({'answers': ours}, {'answers': theirs}), 1
    )


class TableTest(absltest.TestCase):
  def test_has_what_was_found(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    found = {
      'unit': 'cells',
      'rates': {'selfexplain_jax': [1200.0, 1300.0, 1100.0], 'a': [4.5, 5, 5]},
      'ratio': 240.0,
      'bar': 10.0,
      'different': 3,
      'notes': {
        'planned_over_needed': 1.0625,
        'whole_over_planned': 3.5,
        'operations': 2e6,
      },
      'versions': {'jax': '1.2'},
    }
    name = 'patch_sweep_world_16'
    (folder / f'{name}.json').write_text(json.dumps({'a': found}))
    document = folder / 'made.md'
    with (
      mock.patch.object(table, 'RESULTS', folder),
      mock.patch.object(table, '_DOCUMENT', document),
    ):
      table.write()
    written = document.read_text()
    self.assertIn(
      '| world 16 | a | 1,200 [1,100, 1,300] | 5 [4.5, 5] | 240.00 | 10 | 3 |',
      written,
    )
    self.assertIn('world 16: the plan takes 1.062 of', written)
    self.assertIn('takes 3.5 times the operations', written)
    self.assertIn('2.0 million operations of one of the cells, 2 *', written)
    self.assertIn('jax 1.2', written)
    self.assertNotIn('## Decoding', written)

  def test_every_contest_has_a_section(self):
    for name in contests.CONTESTS:
      self.assertTrue(any(name.startswith(k) for k in table._SECTIONS), name)


if __name__ == '__main__':
  absltest.main()
