# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of hub ids, without a network."""

import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from huggingface_hub import errors as hub_errors

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.models import hub
from selfexplain_jax.models import huggingface

_MODEL = pathlib.Path(__file__).parent / 'data' / 'llama'

# Binds the offline switch, which the library reads when it is imported.
_OFFLINE = """
from selfexplain_jax import errors
from selfexplain_jax.models import huggingface
try:
  huggingface.read_config('nobody/nothing@v1')
except errors.InputError as e:
  print(e)
"""


def _download(**kwargs):
  return mock.patch.object(hub.huggingface_hub, 'snapshot_download', **kwargs)


class HubTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    hub._download.cache_clear()
    self.addCleanup(hub._download.cache_clear)

  def test_every_reader_takes_an_id_and_it_is_downloaded_once(self):
    with _download(return_value=str(_MODEL)) as download:
      model = huggingface.load('some-one/a.model_1@v1.2', mesh_lib.make_mesh())
      for read in (
        huggingface.read_config,
        huggingface.read_token_ids,
        huggingface.weight_hash,
      ):
        self.assertEqual(read('some-one/a.model_1@v1.2'), read(_MODEL))
      self.assertEqual(model.config, huggingface.read_config(_MODEL))
      download.assert_called_once()
      self.assertEqual(download.call_args.args, ('some-one/a.model_1',))
      self.assertEqual(download.call_args.kwargs['revision'], 'v1.2')
      huggingface.read_config('some-one/a.model_1')
      self.assertIsNone(download.call_args.kwargs['revision'])

  @parameterized.parameters(
    'one', './a/b', '../b', '/a/b', '~/b', 'a/b/c', 'gs://b', 'a/b@', 'a /b'
  )
  def test_other_names_are_those_of_folders(self, name):
    with _download(side_effect=AssertionError):
      self.assertEqual(hub.local(name), name)

  def test_a_folder_that_exists_comes_first(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    (folder / 'a' / 'b').mkdir(parents=True)
    before = os.getcwd()
    self.addCleanup(os.chdir, before)
    os.chdir(folder)
    with _download(side_effect=AssertionError):
      self.assertEqual(hub.local('a/b'), 'a/b')

  @parameterized.parameters(
    ('a/b', None, '', '*.npz'),
    ('a/b@v1', 'v1', '', '*.npz'),
    ('a/b/L15R-32x/', None, '/L15R-32x', 'L15R-32x/*.npz'),
    ('a/b@v1/layer_*/w_1k', 'v1', '/layer_*/w_1k', 'layer_*/w_1k/*.npz'),
  )
  def test_parts_of_a_repository(self, name, revision, part, wanted):
    with _download(return_value='/cache') as download:
      self.assertEqual(hub.local_part(name), '/cache' + part)
      self.assertEqual(download.call_args.args, ('a/b',))
      self.assertEqual(download.call_args.kwargs['revision'], revision)
      self.assertIn(wanted, download.call_args.kwargs['allow_patterns'])

  @parameterized.parameters('one', './a/b', '/a/b*', '~/b', 'gs://b/c', 'a//b')
  def test_other_names_are_those_of_parts_of_folders(self, name):
    with _download(side_effect=AssertionError):
      self.assertEqual(hub.local_part(name), name)

  def test_parts_of_a_folder_that_exists_come_first(self):
    before = os.getcwd()
    self.addCleanup(os.chdir, before)
    os.chdir(self.create_tempdir().full_path)
    os.mkdir('a')
    with _download(side_effect=AssertionError):
      self.assertEqual(hub.local_part('a/b/layer_*'), 'a/b/layer_*')

  @parameterized.parameters(
    (hub_errors.LocalEntryNotFoundError, 'hf download.*name the folder'),
    (ConnectionError, 'neither be reached'),
    (hub_errors.HFValidationError, 'neither be reached'),
  )
  def test_a_failure_is_one_line(self, error, pattern):
    with _download(side_effect=error('no\nway')):
      with self.assertRaisesRegex(errors.InputError, pattern) as raised:
        hub.local('a/b')
    self.assertRegex(str(raised.exception), '^a/b is no folder here.*no way')
    self.assertNotIn('\n', str(raised.exception))

  @parameterized.parameters(
    (hub_errors.GatedRepoError, 'license'),
    (hub_errors.RevisionNotFoundError, 'branch, tag or commit'),
    (hub_errors.RepositoryNotFoundError, 'does not exist'),
  )
  def test_a_refusal_says_what_to_do(self, kind, pattern):
    error = kind('refused', response=mock.MagicMock())
    with _download(side_effect=error):
      with self.assertRaisesRegex(errors.InputError, pattern):
        hub.local('a/b')

  def test_offline_with_an_empty_cache(self):
    folder = self.create_tempdir().full_path
    done = subprocess.run(
      [sys.executable, '-c', _OFFLINE],
      env={**os.environ, 'HF_HUB_OFFLINE': '1', 'HF_HOME': folder},
      cwd=pathlib.Path(__file__).parents[2],
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertRegex(done.stdout, 'nobody/nothing@v1 .*in the cache: download')
    self.assertEqual(done.stdout.count('\n'), 1)


if __name__ == '__main__':
  absltest.main()
