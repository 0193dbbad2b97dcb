# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of stores and dictionaries that are made from text files."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np

from experiments.features import dictionary
from experiments.features import dump
from experiments.features import explanations
from launch import dump_activations
from launch import make_explanations
from launch import train_dictionary
from selfexplain_jax import errors
from selfexplain_jax.activations import reader
from selfexplain_jax.data import corpora
from selfexplain_jax.data import explanations as explanations_lib
from selfexplain_jax.data import prompts as prompts_lib
from selfexplain_jax.models import artefact
from selfexplain_jax.worlds.biographies import pretraining
from tests.data import text_sources
from tests.models import byte_pairs
from tests.models import tiny

START, COUNT, LENGTH = 3, 17, 12
# Of many lengths, some longer than is read.
TEXTS = [
  byte_pairs.TEXTS[i % 3][: 1 + 5 * (i % 8)] + '<|eot_id|>' * (i % 4 == 3)
  for i in range(24)
]


class TextCorpusTest(parameterized.TestCase):
  root: pathlib.Path

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(absltest.get_default_test_tmpdir()) / 'text_corpus'
    for name, bos in (('target', True), ('without_bos', False)):
      tokenizer = byte_pairs.tokenizer(bos)
      model = tiny.model(layers=2, vocabulary=tokenizer.vocab_size)
      artefact.save(model, tokenizer, cls.root / name)
    (cls.root / 'texts').mkdir()
    text_sources.write(cls.root / 'texts/a.parquet', TEXTS[:10])
    text_sources.write(cls.root / 'texts/b.jsonl.gz', TEXTS[10:])
    dump_activations.run(cls.dumped(), str(cls.root / 'store'))

  @classmethod
  def dumped(cls, **changes) -> ml_collections.ConfigDict:
    config = dump.get_config()
    config.target = str(cls.root / 'target')
    config.prompts.text = dict(
      files=f'{cls.root}/texts/*', field='text', start=START, count=COUNT
    )
    config.prompts.text.length = LENGTH
    config.dtype, config.prompts_per_shard = 'float32', 4
    config.update_from_flattened_dict(changes)
    return config

  @classmethod
  def trained(cls, **changes) -> ml_collections.ConfigDict:
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

  @parameterized.parameters('target', 'without_bos')
  def test_store_has_each_token_but_the_first_and_no_padding(self, target):
    config = self.dumped(target=str(self.root / target))
    dump_activations.run(config, str(self.workdir))
    store = reader.open_store(self.workdir)
    tokenizer = artefact.load_tokenizer(self.root / target)
    rows = []
    for n, text in enumerate(TEXTS[START : START + COUNT]):
      ids = tokenizer.encode_document(text)[:LENGTH]
      self.assertNotIn(tokenizer.eos_id, ids)
      rows += [(ids[at], n, at) for at in range(1, len(ids))]
    found = [
      store.read(name, 0, store.rows)
      for name in ('token_id', 'document', 'position')
    ]
    self.assertEqual(list(zip(*(one.tolist() for one in found))), rows)
    self.assertLess(store.rows, COUNT * (LENGTH - 1))

  def test_dictionary_learns_and_is_measured_without_padding(self):
    train_dictionary.run(self.trained(), str(self.workdir))
    figures = json.loads((self.workdir / 'metrics.json').read_text())
    prompts = prompts_lib.read(self.root / 'store')
    held_out = [
      ids for ids, s in zip(prompts.ids, prompts.split) if s == 'validation'
    ]
    self.assertLen(held_out, 3)
    rows = sum(len(ids) - 1 for ids in held_out)
    for layer in ('0', '1'):
      self.assertEqual(figures['layers'][layer]['rows'], rows)
      self.assertGreater(figures['layers'][layer]['clean_loss'], 0)
    self.assertEqual(
      (self.workdir / 'corpus.json').read_bytes(),
      (self.root / 'store/corpus.json').read_bytes(),
    )
    documents = train_dictionary._held_out(self.trained(), prompts)
    np.testing.assert_array_equal(
      documents.weights.sum(1), [len(ids) for ids in held_out]
    )

  def test_features_of_a_world_model_on_text(self):
    world = pretraining.Corpus(
      corpus_seed=0, known_seed=0, people=48, world_seed=0
    )
    tokenizer = world.tokenizer(())
    model = tiny.model(layers=2, vocabulary=tokenizer.vocab_size)
    artefact.save(model, tokenizer, self.workdir / 'target')
    world.save(self.workdir / 'target')
    read = corpora.Biographies(world, tokenizer)
    texts = [
      tokenizer.decode(read.document(i, 24 - i % 2).ids) for i in range(400)
    ]
    name = text_sources.write(self.workdir / 'texts.jsonl', texts)
    target = str(self.workdir / 'target')
    config = self.dumped(**{'target': target, 'prompts.text.files': str(name)})
    dump_activations.run(config, str(self.workdir / 'store'))
    config = self.trained(target=target, store=str(self.workdir / 'store'))
    train_dictionary.run(config, str(self.workdir / 'dictionary'))

    config = explanations.get_config('text')
    config.target, config.corpus.files = target, str(name)
    config.dictionary = str(self.workdir / 'dictionary')
    config.documents = dict(start=20, labels=40, scores=10, length=24)
    config.threshold, config.unlabelled = 0.02, 3
    make_explanations.run(config, str(self.workdir / 'set'))
    made = explanations_lib.read(self.workdir / 'set')
    # Every other document is too short.
    expected = [read.document(20 + 2 * i, 24).ids for i in range(40, 50)]
    np.testing.assert_array_equal(made.documents, expected)
    self.assertEqual(made.manifest['notes']['corpus']['source'], 'text')
    self.assertNotIn('corpus', made.manifest['config'])
    self.assertNotIn(str(self.workdir), json.dumps(made.manifest))
    config.documents.scores = 200
    with self.assertRaisesRegex(
      errors.InputError, 'has 150 documents of at least 24 tokens from document'
    ):
      make_explanations.run(config, str(self.workdir / 'none'))
    self.assertFalse((self.workdir / 'none').exists())

  def test_note_names_the_files(self):
    note = json.loads((self.root / 'store/corpus.json').read_text())
    self.assertEqual(
      [one['name'] for one in note['files']], ['a.parquet', 'b.jsonl.gz']
    )
    self.assertEqual((note['source'], note['documents']), ('text', COUNT))

  def test_dry_run_prints_sizes_and_writes_nothing(self):
    with self.assertLogs(level='INFO') as logs:
      dump_activations.run(self.dumped(), str(self.workdir / 'none'), True)
    store = reader.open_store(self.root / 'store')
    rows, gigabytes = store.rows, store.rows * 2 * 16 * 4 / 1e9
    self.assertIn(
      f'{COUNT} prompts, {rows + COUNT} tokens, {rows} rows of 2 layers, '
      f'{gigabytes:.3f} GB',
      logs.output[-1],
    )
    self.assertFalse((self.workdir / 'none').exists())

  def test_refuses_to_go_on_with_other_documents(self):
    (self.root / 'changed').mkdir(exist_ok=True)
    name = self.root / 'changed/a.jsonl'
    text_sources.write(name, TEXTS)
    config = self.dumped(**{'prompts.text.files': str(name)})
    dump_activations.run(config, str(self.workdir / 'store'))
    trained = self.trained(store=str(self.workdir / 'store'))
    train_dictionary.run(trained, str(self.workdir / 'dictionary'))
    # As if both had been stopped before the end.
    (self.workdir / 'store/manifest.json').unlink()
    (self.workdir / 'dictionary/metrics.json').unlink()
    text_sources.write(name, [text.upper() for text in TEXTS])
    with self.assertRaisesRegex(
      errors.InputError, 'another corpus, with other content of a.jsonl'
    ):
      dump_activations.run(config, str(self.workdir / 'store'))
    trained.store = str(self.root / 'store')
    with self.assertRaisesRegex(errors.InputError, 'begun with store='):
      train_dictionary.run(trained, str(self.workdir / 'dictionary'))
    trained.store = str(self.workdir / 'store')
    (self.workdir / 'store').rename(self.workdir / 'old')
    dump_activations.run(config, str(self.workdir / 'store'))
    with self.assertRaisesRegex(
      errors.InputError, 'dictionary was begun with another corpus, .* a.jsonl'
    ):
      train_dictionary.run(trained, str(self.workdir / 'dictionary'))

  @parameterized.parameters(
    ({'files': ''}, "no file matches ''"),
    ({'files': '/none/*.jsonl'}, "no file matches '/none/"),
    ({'field': 'body'}, "a.parquet has no column 'body'"),
    ({'start': 20}, 'has 24 documents: expected at least 37, 17 from document'),
    ({'count': 0}, 'count=0: expected at least 1'),
    ({'length': 1}, 'length=1: expected at least 2'),
    ({'length': 1 << 20}, 'prompts.text.length is 1048576: expected at most'),
  )
  def test_refuses_by_name(self, change, message):
    changes = {f'prompts.text.{name}': v for name, v in change.items()}
    with self.assertRaisesRegex(errors.InputError, message):
      dump_activations.run(self.dumped(**changes), str(self.workdir))
    self.assertFalse((self.workdir / 'config.json').exists())

  def test_refuses_documents_of_one_token(self):
    name = text_sources.write(self.workdir / 'a.txt', ['e'] * COUNT)
    config = self.dumped(target=str(self.root / 'without_bos'))
    config.prompts.text.update(dict(files=str(name), start=0))
    with self.assertRaisesRegex(errors.InputError, 'documents of one token'):
      dump_activations.run(config, str(self.workdir))


if __name__ == '__main__':
  absltest.main()
