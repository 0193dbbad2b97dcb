# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of simulators: trained a little, on features whose labels are known."""

import functools
import json
import pathlib

from absl.testing import absltest
import jax
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.fidelity import firing
from selfexplain_jax.simulators import conventions
from selfexplain_jax.simulators import levels
from selfexplain_jax.simulators import trained
from selfexplain_jax.simulators import training
from selfexplain_jax.tasks import features
from selfexplain_jax.training import optimizer as optimizer_lib
from selfexplain_jax.training import state as state_lib
from tests.fidelity import planted_features as planted
from tests.models import tiny

_PLAIN = conventions.convention('plain')
# Features that are active often.
_LABELS = [
  label for label in planted.CONCEPTS if not label.startswith('the first name')
]
_STEPS, _ROWS = 120, 32


@functools.cache
def _documents():
  """Documents to learn from and others, 40 of each, of 24 tokens."""
  rows = [planted.CORPUS.document(i, 24).ids for i in range(80)]
  return np.stack(rows).astype(np.int32)


def _firing(documents):
  rows = [
    {
      'place': features.FEATURE,
      'layer': 0,
      'source': label,
      'feature': planted.CONCEPTS.index(label),
    }
    for label in _LABELS
  ]
  none = np.zeros((len(rows), planted.TOKENIZER.vocab_size), np.float32)
  return firing.observe(
    planted.model(), planted.dictionary(), rows, none, documents, seed=0
  )


@functools.cache
def _learnt():
  """A simulator, trained on the first half of the documents."""
  learnt = training.examples(
    _PLAIN,
    planted.TOKENIZER,
    _LABELS,
    _firing(_documents()[:40]),
    _documents()[:40],
    seed=0,
  )
  model = tiny.model(
    layers=2, width=32, vocabulary=planted.TOKENIZER.vocab_size, tied=True
  )
  settings = dict(
    peak_rate=0.01, adam_rate=1.0, warmup=5, weight_decay=0.0, clip_norm=1.0
  )
  optimizer = optimizer_lib.make(ml_collections.ConfigDict(settings), _STEPS)
  step = training.make_step(optimizer, _PLAIN.level_ids)
  state = state_lib.start(jax.tree.map(lambda x: x + 0, model), optimizer)
  for batch in training.batches(learnt, _ROWS, _STEPS, 0):
    state, _ = step(state, batch)
  return state.model


def _simulator(model, documents):
  return trained.TrainedSimulator(
    model, _PLAIN, planted.TOKENIZER, documents, {'kind': 'trained'}
  )


class LearntTest(absltest.TestCase):
  def test_predicts_other_documents_from_descriptions(self):
    others = _documents()[40:]
    found = training.correlations(
      _simulator(_learnt(), others), _LABELS, _firing(others)
    )
    self.assertGreater(found['simulator'], 0.5)
    self.assertGreater(found['simulator'], found['shuffled_description'] + 0.3)

  def test_there_may_be_no_other_description(self):
    others = _documents()[40:]
    found = training.correlations(
      _simulator(_learnt(), others), _LABELS[:1] * len(_LABELS), _firing(others)
    )
    self.assertEqual(found.keys(), {'simulator'})

  def test_says_where_features_are_active(self):
    seen = _firing(_documents()[40:])
    simulated = _simulator(_learnt(), _documents()[40:]).simulate(
      _LABELS, seen.documents
    )
    real = seen.activations > 0
    right = (simulated.active == real).mean()
    self.assertGreater(right, max(0.9, 1 - real.mean()))

  def test_simulates_as_the_slow_way_does(self):
    simulates = _simulator(_learnt(), _documents())
    chosen = np.array([[3, 70, 2], [5, 6, 7], [8, 1, 0], [9, 4, 79]])
    said = ['a last name', None, 'no such word', _LABELS[0]]
    simulated = simulates.simulate(said, chosen)
    np.testing.assert_array_equal(simulated.valid, [True, False, False, True])
    self.assertEqual(simulated.activations.shape, (4, 3, 24))
    for n, text in enumerate(said):
      if not simulated.valid[n]:
        self.assertFalse(simulated.activations[n].any())
        self.assertFalse(simulated.active[n].any())
        continue
      prompt = planted.TOKENIZER.encode_prompt(f'{text} >>>')
      for s, document in enumerate(chosen[n]):
        ids = np.array([[*prompt, *_documents()[document, 1:]]], np.int32)
        start = np.array([len(prompt)], np.int32)
        logits = levels.logits(_learnt(), ids, start, 23, range(11))[0]
        probability = np.asarray(jax.nn.softmax(logits))
        expected = probability @ np.arange(11) / 10
        np.testing.assert_allclose(
          simulated.activations[n, s], [0, *expected], atol=1e-5
        )
        np.testing.assert_array_equal(
          simulated.active[n, s], [False, *(probability[:, 0] < 0.5)]
        )

  def test_nothing_to_say(self):
    found = _simulator(_learnt(), _documents()).simulate(
      [None], np.array([[1, 2]])
    )
    self.assertFalse(found.valid.any())
    self.assertEqual(found.activations.shape, (1, 2, 24))


class ExamplesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.seen = _firing(_documents())
    self.made = training.examples(
      _PLAIN, planted.TOKENIZER, _LABELS, self.seen, _documents(), seed=0
    )

  def test_an_epoch_shows_every_example_once(self):
    count = len(self.made)
    self.assertEqual(count, len(self.made.descriptions) * 20)
    epochs = [
      [self.made.row(i + e * count)['tokens'].tobytes() for i in range(count)]
      for e in range(2)
    ]
    self.assertLen(set(epochs[0]), count)
    self.assertCountEqual(epochs[0], epochs[1])
    self.assertNotEqual(epochs[0], epochs[1])

  def test_rows_are_prompts_documents_and_levels(self):
    executed = planted.dictionary().by_layer[0].encoder_DxS
    for i in range(20):
      row = self.made.row(i)
      start = int(row['start'])
      words = [planted.TOKENIZER.token(int(t)) for t in row['tokens'][:start]]
      self.assertEqual((words[0], words[-1]), ('<|bos|>', '>>>'))
      feature = planted.CONCEPTS.index(' '.join(words[1:-1]))
      read = row['tokens'][start : start + 23]
      fires = np.asarray(executed)[read, feature] > 0
      np.testing.assert_array_equal(row['levels'], 10 * fires)

  def test_features_that_are_never_active(self):
    silent = firing.Firing(
      self.seen.documents, np.zeros_like(self.seen.activations)
    )
    with self.assertRaisesRegex(errors.InputError, 'none of the features'):
      training.examples(
        _PLAIN, planted.TOKENIZER, _LABELS, silent, _documents(), seed=0
      )


class SavedTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    trained.save(_learnt(), planted.TOKENIZER, self.folder, {'seed': 3})
    self.mesh = mesh_lib.make_mesh()

  def load(self, convention='', tokenizer=planted.TOKENIZER):
    return trained.load(
      self.folder, convention, tokenizer, _documents(), self.mesh
    )

  def test_is_the_same_when_read(self):
    chosen = np.array([[0, 1]])
    expected = _simulator(_learnt(), _documents()).simulate(
      ['a last name'], chosen
    )
    loaded = self.load()
    found = loaded.simulate(['a last name'], chosen)
    np.testing.assert_array_equal(found.activations, expected.activations)
    self.assertEqual(loaded.settings['kind'], 'trained')
    self.assertEqual(loaded.settings['convention'], 'plain')
    self.assertLen(loaded.settings['model'], 64)
    self.load('plain')

  def test_conventions_are_named_once(self):
    with self.assertRaisesRegex(errors.InputError, "'plain': expected 'publ"):
      self.load('published')
    note = pathlib.Path(self.folder) / trained.FILE
    note.unlink()
    with self.assertRaisesRegex(errors.InputError, 'has no simulator.json'):
      self.load()
    with self.assertRaisesRegex(errors.InputError, 'expected 128000'):
      self.load('published')
    note.write_text(json.dumps({'convention': 'secret'}))
    with self.assertRaisesRegex(errors.InputError, 'secret'):
      self.load()

  def test_of_another_tokenizer(self):
    note = pathlib.Path(self.folder) / trained.FILE
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, 'tokenizer_hash': 'f' * 64}))
    with self.assertRaisesRegex(errors.InputError, 'another tokenizer'):
      self.load()


if __name__ == '__main__':
  absltest.main()
