# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that published dictionaries are measured before they are used."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np

from experiments.features import published_dictionary
from launch import check_dictionary
from selfexplain_jax import errors
from selfexplain_jax.data import corpora
from selfexplain_jax.dictionary import activity
from selfexplain_jax.dictionary import releases
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.worlds.biographies import pretraining
from tests.dictionary import published
from tests.models import tiny

CORPUS = pretraining.Corpus(
  corpus_seed=0, known_seed=0, people=48, world_seed=0
)
WIDTH = 16


class CheckDictionaryTest(parameterized.TestCase):
  root: pathlib.Path

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(absltest.get_default_test_tmpdir()) / 'check'
    cls.tokenizer = CORPUS.tokenizer(())
    cls.model = tiny.model(layers=2, vocabulary=cls.tokenizer.vocab_size)
    artefact.save(cls.model, cls.tokenizer, cls.root / 'target')
    CORPUS.save(cls.root / 'target')
    for layer in (0, 1):
      published.llama_scope(
        cls.root / 'release',
        layer,
        WIDTH,
        jump_relu_threshold=16.0,
        dataset_average_activation_norm={'in': 4.0, 'out': 4.0},
      )
    check_dictionary.run(cls.config(), str(cls.root / 'done'))
    cls.found = json.loads((cls.root / 'done/metrics.json').read_text())

  @classmethod
  def config(cls, **changes) -> ml_collections.ConfigDict:
    config = published_dictionary.get_config()
    config.target = str(cls.root / 'target')
    config.dictionary = str(cls.root / 'release')
    config.documents = dict(start=500, count=6, length=12)
    config.batch = 4
    config.update(changes)
    return config

  def setUp(self):
    super().setUp()
    self.workdir = str(self.create_tempdir().full_path) + '/work'

  def test_figures_are_those_of_a_slow_count(self):
    corpus = corpora.Biographies(CORPUS, self.tokenizer)
    tokens, _ = corpora.whole(corpus, 500, 6, 12)
    ((_, resid),) = activity.residuals(
      self.model, tokens, 'resid_post', (0, 1), 6
    )
    _, stored = releases.by_layer(self.root / 'release')
    for layer in (0, 1):
      x = resid[layer, :, 1:].reshape(-1, WIDTH)
      sae = stored[layer].load()
      features = np.asarray(sae_lib.encode(sae, x))
      found = self.found['layers'][str(layer)]
      self.assertEqual(found['rows'], 6 * 11)
      self.assertAlmostEqual(found['l0'], (features > 0).sum() / len(x), 5)
      dead = np.mean(~(features > 0).any(0))
      self.assertAlmostEqual(found['dead_share'], dead, 5)
      error = ((x - np.asarray(sae_lib.decode(sae, features))) ** 2).sum()
      variance = ((x - x.mean(0)) ** 2).sum()
      self.assertAlmostEqual(
        found['variance_explained'] / (1 - error / variance), 1, 3
      )
    self.assertEqual(self.found['models'], ['Llama3_1-8B-Base'])
    self.assertEqual(self.found['site'], 'resid_post')

  def test_as_expected(self):
    for name in ('l0', 'variance_explained'):
      values = tuple(self.found['layers'][layer][name] for layer in ('0', '1'))
      config = self.config()
      config.expected[name] = values
      check_dictionary.run(config, self.workdir + name)

  def test_not_as_expected(self):
    l0 = self.found['layers']['0']['l0']
    config = self.config()
    config.expected.l0 = (l0 * 3,)
    for _ in range(2):  # The second time from the figures that are there.
      with self.assertRaisesRegex(
        SystemExit, rf'layer 0: l0 is {l0:.4g}, expected {3 * l0:.4g} within'
      ):
        check_dictionary.run(config, self.workdir)
    config = self.config()
    config.expected.variance_explained = (0.9,)
    with self.assertRaisesRegex(SystemExit, 'layer 1: variance_explained is -'):
      check_dictionary.run(config, self.workdir + '2')

  def test_absurd_figures_are_seen_without_expectations(self):
    published.llama_scope(
      self.root / 'absurd', 0, WIDTH, 400, jump_relu_threshold=1e-6
    )
    config = self.config(dictionary=str(self.root / 'absurd'))
    with self.assertRaisesRegex(
      SystemExit, 'width 16, expected above 0 and at most 8: are thresholds'
    ):
      check_dictionary.run(config, self.workdir)

  def test_dry_run_writes_nothing(self):
    check_dictionary.run(self.config(), self.workdir, True)
    self.assertFalse(pathlib.Path(self.workdir).exists())

  @parameterized.parameters(
    ({'dictionary': ''}, 'config.dictionary is missing'),
    ({'dictionary': 'none'}, 'none holds no dictionaries: found no folder'),
    ({'batch': 0}, 'batch=0: expected at least 1'),
    ({'expected': {'l0': (1.0,) * 3}}, 'expected.l0 has 3 numbers: expected'),
    ({'corpus': {'files': 'none.txt'}}, 'none.txt'),
  )
  def test_refuses_by_name(self, change, message):
    with self.assertRaisesRegex(errors.InputError, message):
      check_dictionary.run(self.config(**change), self.workdir)


if __name__ == '__main__':
  absltest.main()
