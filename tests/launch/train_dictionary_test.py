# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of documents that are dumped, and of dictionaries trained on them."""

import json
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import ml_collections
import numpy as np

from experiments.features import dictionary
from experiments.world import dump
from launch import dump_activations
from launch import train_dictionary
from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.dictionary import rows
from selfexplain_jax.dictionary import saelens
from selfexplain_jax.dictionary import sparse_autoencoder as sae_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.worlds.biographies import pretraining
from tests.models import tiny

CORPUS = pretraining.Corpus(
  corpus_seed=0, known_seed=0, people=48, world_seed=0
)
COUNT, LENGTH, WIDTH = 16, 12, 16


class Failure(Exception):
  """What a test lets happen in the middle of a run."""


def _failing(when: int):
  """Patches the batches to fail before batch `when` of a run."""
  batches = rows.batches

  def some(*args):
    for number, batch in enumerate(batches(*args)):
      if number == when:
        raise Failure
      yield batch

  return mock.patch.object(rows, 'batches', some)


def _results(workdir: pathlib.Path) -> dict[str, bytes]:
  """Everything that a run ends with, by name, but for its log."""
  found = [
    workdir / 'metrics.json',
    *(f for f in (workdir / 'dictionaries').rglob('*') if f.is_file()),
  ]
  return {str(f.relative_to(workdir)): f.read_bytes() for f in found}


class TrainDictionaryTest(parameterized.TestCase):
  root: pathlib.Path
  straight: dict[str, bytes]

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(absltest.get_default_test_tmpdir()) / 'dictionary'
    tokenizer = CORPUS.tokenizer(())
    model = tiny.model(layers=2, vocabulary=tokenizer.vocab_size)
    artefact.save(model, tokenizer, cls.root / 'target')
    CORPUS.save(cls.root / 'target')
    config = dump.get_config('documents')
    config.target = str(cls.root / 'target')
    config.prompts.documents = dict(start=500, count=COUNT, length=LENGTH)
    config.prompts_per_shard = 4
    dump_activations.run(config, str(cls.root / 'store'))
    train_dictionary.run(cls.config(), str(cls.root / 'straight'))
    cls.straight = _results(cls.root / 'straight')

  @classmethod
  def config(cls, **changes) -> ml_collections.ConfigDict:
    config = dictionary.get_config()
    config.target = str(cls.root / 'target')
    config.store = str(cls.root / 'store')
    config.update(dict(features=24, k=3, steps=6, batch=32))
    config.update(dict(window_rows=60, checkpoint_every=2))
    config.update(changes)
    return config

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(self.create_tempdir().full_path)

  def test_every_token_of_fresh_documents_is_stored(self):
    store = reader.open_store(self.root / 'store')
    self.assertEqual(store.rows, COUNT * (LENGTH - 1))
    tokenizer = artefact.load_tokenizer(self.root / 'target')
    ids = np.array(prompts_lib.read(self.root / 'store').ids)
    for i in range(COUNT):
      row = CORPUS.row(tokenizer, LENGTH, 500 + i)
      np.testing.assert_array_equal(ids[i], row['tokens'])
    found = store.read('token_id', 0, store.rows)
    np.testing.assert_array_equal(found, ids[:, 1:].reshape(-1))

  @parameterized.parameters(
    ('documents', {'count': 0}, 'count=0: expected at least 1'),
    (
      'documents',
      {'length': 1 << 20},
      r'documents.length is 1048576: expected',
    ),
    (
      'texts',
      {},
      "source is 'texts': expected 'biographies', 'documents', 'text'",
    ),
  )
  def test_refuses_documents_by_name(self, source, change, message):
    config = dump.get_config('documents')
    config.target = str(self.root / 'target')
    config.prompts.source = source
    config.prompts.documents.update(change)
    with self.assertRaisesRegex(errors.InputError, message):
      dump_activations.run(config, str(self.workdir))

  @parameterized.parameters(1, 3, 5)
  def test_failed_run_resumes(self, when: int):
    with _failing(when), self.assertRaises(Failure):
      train_dictionary.run(self.config(), str(self.workdir))
    self.assertFalse((self.workdir / 'metrics.json').exists())
    train_dictionary.run(self.config(), str(self.workdir))
    self.assertEqual(_results(self.workdir), self.straight)

  def test_figures_and_dictionaries_are_there_for_each_layer(self):
    metrics = json.loads(self.straight['metrics.json'])
    self.assertEqual((metrics['site'], metrics['documents']), ('resid_post', 2))
    self.assertCountEqual(metrics['layers'], ['0', '1'])
    for layer, figures in metrics['layers'].items():
      self.assertEqual(figures['rows'], 2 * (LENGTH - 1))
      self.assertBetween(figures['dead_share'], 0, 1)
      self.assertLess(figures['variance_explained'], 1)
      folder = saelens.folder(self.root / 'straight', 'resid_post', int(layer))
      self.assertIn(f'dictionaries/blocks.{layer}.hook_resid_post', str(folder))
      sae = saelens.load(folder)
      # It takes raw activations: on all of the store it fires about as often.
      store = reader.open_store(self.root / 'store')
      x = store.read('resid_post', 0, store.rows)[:, int(layer)]
      l0 = float((np.asarray(sae_lib.encode(sae, x)) > 0).sum(1).mean())
      self.assertBetween(l0, 1, 6)
      config = json.loads((folder / 'cfg.json').read_text())
      self.assertEqual(config['metadata']['hook_name'], folder.name)

  def test_losses_weigh_as_in_pretraining(self):
    config = self.config()
    prompts = prompts_lib.read(self.root / 'store')
    held_out = train_dictionary._held_out(config, prompts)
    tokenizer = artefact.load_tokenizer(self.root / 'target')
    for n, index in enumerate((514, 515)):
      row = CORPUS.row(tokenizer, LENGTH, index)
      np.testing.assert_array_equal(held_out.tokens[n], row['tokens'])
      np.testing.assert_array_equal(held_out.weights[n], row['weights'])
    config.evaluation.documents = 1
    self.assertLen(train_dictionary._held_out(config, prompts).tokens, 1)

  def test_held_out_documents_are_not_learned_from(self):
    prompts = prompts_lib.read(self.root / 'store')
    store = reader.open_store(self.root / 'store')
    chosen = train_dictionary._chosen(store, prompts)
    self.assertEqual(chosen.sum(), 14 * (LENGTH - 1))
    self.assertFalse(chosen[14 * (LENGTH - 1) :].any())

  def test_one_program_serves_all_steps(self):
    programs = []
    real = train_dictionary.training.make_step

    def make_step(*args):
      programs.append(real(*args))
      return programs[0]

    with mock.patch.object(train_dictionary.training, 'make_step', make_step):
      train_dictionary.run(self.config(), str(self.workdir))
    self.assertEqual(programs[0]._cache_size(), 1)

  def test_dry_run_writes_nothing(self):
    train_dictionary.run(self.config(), str(self.workdir / 'none'), True)
    self.assertFalse((self.workdir / 'none').exists())

  def test_finished_run_is_left_alone(self):
    with _failing(0):
      train_dictionary.run(self.config(), str(self.root / 'straight'))
    with self.assertRaisesRegex(errors.InputError, 'begun with k=3, not 4'):
      train_dictionary.run(self.config(k=4), str(self.root / 'straight'))

  @parameterized.parameters(
    ({'target': ''}, 'config.target is missing'),
    ({'store': ''}, 'config.store is missing'),
    ({'site': 'embed'}, "site is 'embed': expected a site with layers"),
    ({'layers': (0, 7)}, r'layers is \(0, 7\): expected some of \(0, 1\)'),
    ({'layers': (1, 1)}, r'layers is \(1, 1\): expected .* each once'),
    ({'kind': 'gated'}, "kind 'gated'"),
    ({'steps': 0}, 'steps=0: expected at least 1'),
  )
  def test_refuses_by_name(self, change, message):
    with self.assertRaisesRegex(errors.InputError, message):
      train_dictionary.run(self.config(**change), str(self.workdir))

  def test_refuses_activations_of_another_model(self):
    other = self.root / 'other'
    tokenizer = artefact.load_tokenizer(self.root / 'target')
    shape = dict(layers=2, vocabulary=tokenizer.vocab_size)
    artefact.save(tiny.model(seed=1, **shape), tokenizer, other)
    with self.assertRaisesRegex(errors.InputError, 'of another model'):
      train_dictionary.run(self.config(target=str(other)), str(self.workdir))

  def test_topk(self):
    train_dictionary.run(self.config(kind='topk'), str(self.workdir))
    folder = self.workdir / 'dictionaries/blocks.1.hook_resid_post'
    sae = saelens.load(folder)
    self.assertEqual(sae.k, 3)
    found = sae_lib.encode(
      sae, jax.random.normal(jax.random.key(0), (50, WIDTH))
    )
    self.assertLessEqual(int((np.asarray(found) > 0).sum(1).max()), 3)


if __name__ == '__main__':
  absltest.main()
