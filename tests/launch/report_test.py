# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of reports that are written anew."""

import pathlib
import re
import shutil

from absl.testing import absltest

from selfexplain_jax import files
from tests.launch import binaries
from tests.launch import whole


class ReportTest(absltest.TestCase):
  def test_a_folder_of_evaluations(self):
    run_, _ = whole.run()
    out = pathlib.Path(self.create_tempdir().full_path) / 'study'
    for task in whole.TASKS:
      shutil.copytree(run_ / f'{task}_evaluation', out / 'deep' / task)
      (out / 'deep' / task / 'report.html').unlink()
    empty, damaged = out.parent / 'empty', out.parent / 'damaged'
    empty.mkdir()
    shutil.copytree(run_ / 'patching_evaluation', damaged)
    (damaged / 'predictions.parquet').write_bytes(b'PAR1')
    whole_, nothing, broken, missing = binaries.run(
      ['launch.report', f'--workdir={out}'],
      ['launch.report', f'--workdir={empty}'],
      ['launch.report', f'--workdir={damaged}'],
      ['launch.report'],
    )
    self.assertEqual(whole_.code, 0, whole_.stderr)
    index = (out / 'report.html').read_text()
    for task in whole.TASKS:
      name = f'{task}_evaluation'
      again = (out / 'deep' / task / 'report.html').read_text()
      self.assertEqual(again, (run_ / name / 'report.html').read_text())
      self.assertIn(f'href="deep/{task}/report.html"', index)
      figures = files.read_json(run_ / name / 'metrics.json', 'figures')
      self.assertIn(f'<td>{figures["n"]}</td>', index)
    self.assertIsNone(re.search(r'https?://', index))
    for ended, pattern in (
      (nothing, 'holds no evaluation'),
      (broken, 'predictions.parquet is missing or damaged'),
      (missing, '--workdir is missing'),
    ):
      self.assertEqual(ended.code, 2, ended)
      self.assertIn(pattern, ended.stderr)


if __name__ == '__main__':
  absltest.main()
