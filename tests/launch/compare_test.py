# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of evaluations side by side."""

import io
import pathlib
import re
import shutil

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from pyarrow import parquet

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.fidelity import pairing
from selfexplain_jax.reports import comparison_page
from tests.launch import binaries
from tests.launch import whole


class CompareTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.run_, _ = whole.run()
    self.out = pathlib.Path(self.create_tempdir().full_path)

  def read(self, task: str, *arms: str) -> list[pairing.Evaluation]:
    folder = str(self.run_ / f'{task}_evaluation')
    return [pairing.read(arm, folder, arm) for arm in arms]

  @parameterized.parameters(*whole.TASKS)
  def test_two_arms_of_one_evaluation_are_as_it_says(self, task):
    arms = ['self', 'stranger', 'nearest_neighbour']
    figures, differing = pairing.compare(self.read(task, *arms))
    expected = files.read_json(
      self.run_ / f'{task}_evaluation/metrics.json', 'figures'
    )
    self.assertEqual(figures['n'], expected['n'])
    self.assertEqual(figures['left_out'] > 0, task == 'features')
    for arm in arms:
      for measure, found in figures['rows'][arm].items():
        self.assertEqual(found, expected['rows'][arm][measure], measure)
    for arm in arms[1:]:
      for measure, found in figures['tests'][arm].items():
        test = expected['tests'][f'self_minus_{arm}'].get(measure)
        if test is not None:
          self.assertEqual(found, test, measure)
    for row in differing:
      self.assertLen(set(row['right'].values()), 2)

  def test_one_beside_itself_differs_nowhere(self):
    one, other = self.read('patching', 'self', 'self')
    other = pairing.dataclasses.replace(other, name='again')
    figures, differing = pairing.compare([one, other])
    self.assertEmpty(differing)
    for test in figures['tests']['again'].values():
      self.assertIn(test['value'], (0.0, None))
      self.assertIn(test['p'], (1.0, None))

  def test_differences_are_found_and_shown(self):
    one, other = self.read('patching', 'self', 'majority')
    record = next(r for r, row in one.said.items() if not row['exact'])
    right = dict(other.said[record])
    right |= {
      'claimed': int(right['changed']),
      'exact': True,
      'content': True,
      'output': '<b>right</b>',
    }
    other = pairing.dataclasses.replace(
      other, said={**other.said, record: right}
    )
    figures, differing = pairing.compare([one, other])
    self.assertIn(record, [row['record'] for row in differing])
    page = comparison_page.render(figures, differing)
    self.assertIn('✓ &lt;b&gt;right&lt;/b&gt;', page)
    self.assertNotIn('<b>right', page)

  def test_what_cannot_be_paired(self):
    (patched,), (ablated,) = (
      self.read(task, 'self') for task in ('patching', 'ablation')
    )
    with self.assertRaisesRegex(errors.InputError, 'another explanation set'):
      pairing.compare([patched, ablated])
    few = pairing.dataclasses.replace(
      patched,
      said={record + 10**6: row for record, row in patched.said.items()},
    )
    with self.assertRaisesRegex(errors.InputError, 'share no record'):
      pairing.compare([patched, few])

  def test_binary(self):
    folder = self.run_ / 'patching_evaluation'
    damaged = self.out / 'damaged'
    shutil.copytree(folder, damaged)
    (damaged / 'predictions.parquet').write_bytes(b'PAR1')
    compare = ['launch.compare', f'--workdir={self.out}/compared']
    whole_, *refused = binaries.run(
      [*compare, f'--evaluations=a={folder},b={folder}:stranger'],
      [*compare, f'--evaluations=a={folder}'],
      [*compare, f'--evaluations={folder},{folder}'],
      [*compare, f'--evaluations=a={folder},b={folder}:me'],
      [*compare, f'--evaluations=a={folder},b={damaged}'],
      [*compare, f'--evaluations=a={folder},b={self.run_}/target'],
      [*compare, f'--evaluations=a={folder},b=/nowhere'],
      ['launch.compare', f'--evaluations=a={folder},b={folder}'],
    )
    self.assertEqual(whole_.code, 0, whole_.stderr)
    self.assertIn('a minus b:', whole_.stdout)
    table = parquet.read_table(
      io.BytesIO((self.out / 'compared/differences.parquet').read_bytes())
    ).to_pylist()
    figures = files.read_json(self.out / 'compared/comparison.json', 'figures')
    apart = sum(r['right.a'] - r['right.b'] for r in table) / figures['n']
    test = figures['tests']['b']['exact_match']
    self.assertAlmostEqual(apart, test['value'])
    page = (self.out / 'compared/comparison.html').read_text()
    self.assertFalse(re.search(r'https?://(?!www\.w3\.org)', page))
    patterns = (
      '--evaluations has 1: expected at least two',
      'has a name twice',
      "has no arm 'me': expected one of majority",
      'predictions.parquet is missing or damaged',
      'target',
      '/nowhere',
      '--workdir is missing',
    )
    for ended, pattern in zip(refused, patterns, strict=True):
      self.assertEqual(ended.code, 2, ended)
      self.assertIn(pattern, ended.stderr)
      self.assertLen(ended.stderr.strip().splitlines(), 1)
    self.assertTrue(np.isfinite(test['value']))


if __name__ == '__main__':
  absltest.main()
