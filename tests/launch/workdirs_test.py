# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of workdirs that are begun, gone on with and finished."""

import os

from absl.testing import absltest
import jax
import ml_collections

from launch import workdirs
from selfexplain_jax import errors
from selfexplain_jax import files


class WorkdirTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.workdir = self.create_tempdir().full_path
    self.config = ml_collections.ConfigDict(
      {'seed': 0, 'blocks': ((0, 1),), 'model': {'width': 8}}
    )
    before = jax.config.values['jax_compilation_cache_dir']
    self.addCleanup(jax.config.update, 'jax_compilation_cache_dir', before)

  def test_finished_when_the_last_file_is_there(self):
    self.assertFalse(workdirs.finished(self.config, self.workdir, 'last'))
    workdirs.begin(self.config, self.workdir)
    self.assertFalse(workdirs.finished(self.config, self.workdir, 'last'))
    files.write_text(f'{self.workdir}/last', '')
    self.assertTrue(workdirs.finished(self.config, self.workdir, 'last'))

  def test_another_config_is_refused_by_field(self):
    workdirs.begin(self.config, self.workdir)
    self.config.model.width = 16
    with self.assertRaisesRegex(
      errors.InputError,
      f'{self.workdir}/config.json was begun with model.width=8, not 16',
    ):
      workdirs.finished(self.config, self.workdir, 'last')

  def test_a_folder_that_cannot_be_written_to_is_refused(self):
    with self.assertRaisesRegex(
      errors.InputError, '--workdir=/proc/none cannot be written to: '
    ):
      workdirs.begin(self.config, '/proc/none')

  def test_a_run_may_go_on_with_another_mesh(self):
    self.config.mesh = {'data': 1, 'fsdp': 8}
    self.config.accumulate = 1
    workdirs.begin(self.config, self.workdir)
    self.config.mesh = {'data': 2, 'fsdp': -1}
    self.config.accumulate = 4
    self.assertFalse(workdirs.finished(self.config, self.workdir, 'last'))

  def test_a_new_field_is_another_config(self):
    workdirs.begin(self.config, self.workdir)
    self.config.rate = 0.5
    with self.assertRaisesRegex(errors.InputError, 'rate=None, not 0.5'):
      workdirs.finished(self.config, self.workdir, 'last')

  def test_a_field_of_later_may_be_missing_in_an_old_workdir(self):
    workdirs.begin(self.config, self.workdir)
    self.config.dtype = 'float32'
    self.assertFalse(workdirs.finished(self.config, self.workdir, 'last'))
    self.config.dtype = 'bfloat16'
    with self.assertRaisesRegex(errors.InputError, "dtype='float32', not"):
      workdirs.finished(self.config, self.workdir, 'last')

  def test_a_chosen_cache_of_programs_is_kept(self):
    jax.config.update('jax_compilation_cache_dir', '/chosen')
    workdirs.begin(self.config, self.workdir)
    self.assertEqual(jax.config.values['jax_compilation_cache_dir'], '/chosen')

  def test_a_cache_of_programs_is_the_default(self):
    jax.config.update('jax_compilation_cache_dir', None)
    workdirs.begin(self.config, self.workdir)
    self.assertEqual(
      jax.config.values['jax_compilation_cache_dir'],
      os.path.expanduser('~/.cache/selfexplain_jax/programs'),
    )


if __name__ == '__main__':
  absltest.main()
