# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of labels by a model behind an endpoint, on features that are known."""

import functools
import re

from absl.testing import absltest
from absl.testing import parameterized
import ml_collections
import numpy as np

from experiments.features import explanations
from selfexplain_jax import errors
from selfexplain_jax.fidelity import simulation
from selfexplain_jax.judges import chat
from selfexplain_jax.judges import labeller
from selfexplain_jax.tasks import labels
from tests.data import fixtures
from tests.fidelity import planted_features as planted
from tests.judges import stub

_TOKENIZER = planted.TOKENIZER
# Every word that a feature is active at, and its label.
_WORDS = {
  frozenset(
    _TOKENIZER.token(int(i))
    for i in np.flatnonzero(planted.dictionary().by_layer[0].encoder_DxS[:, f])
  ): label
  for f, label in enumerate(planted.CONCEPTS)
}
_WRONG = 'the start of a question'


@functools.cache
def _tokens():
  rows = [planted.CORPUS.document(i, 32).ids for i in range(60)]
  return np.array(rows, np.int32)


def _batches():
  encoder = np.asarray(planted.dictionary().by_layer[0].encoder_DxS)
  for start in range(0, 60, 25):
    tokens = _tokens()[start : start + 25]
    fires = 3 * encoder[tokens]
    fires[..., 0] = 0
    yield labels.Batch(tokens, fires)


def _shown(request):
  """The active and the silent passages that a request shows."""
  text = request['messages'][0]['content']
  active, _, silent = text.partition('Silent passages:')
  numbered = r'^\d+\. (.*)$'
  return re.findall(numbered, active, re.M), re.findall(numbered, silent, re.M)


def _marked(request):
  """The words that are marked in a request."""
  active, _ = _shown(request)
  return set(re.findall(r'(\S+)\[\[\d+\]\]', ' '.join(active)))


def _right(request):
  """The label whose words have all that are marked, and the fewest others."""
  marked = _marked(request)
  return min((len(w), said) for w, said in _WORDS.items() if marked <= w)[1]


class LabellerTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.cache = self.create_tempdir().full_path

  def label(self, answer, most=0, candidates=1, simulates=None):
    with stub.serving(answer) as server:
      asks = labeller.EndpointLabeller(
        chat.make(stub.config(server.url, self.cache), 'config.labels'),
        _TOKENIZER,
        most,
        candidates,
        0,
        simulates,
      )
      return asks.label(_batches()), server.asked

  def simulates(self, tokens):
    return simulation.ConceptSimulator(fixtures.WORLD, _TOKENIZER, tokens)

  def test_a_model_that_reads_the_marks_finds_the_concepts(self):
    found, asked = self.label(_right)
    active = np.concatenate([b.activations_BxTxF[:, 1:] for b in _batches()])
    fires = active.any((0, 1))
    self.assertGreater(fires.sum(), 5)
    self.assertFalse(fires[0])
    for f, label in enumerate(planted.CONCEPTS):
      self.assertEqual(found.text[f], label if fires[f] else None)
      self.assertEqual(found.concept[f], '' if fires[f] else None)
    self.assertTrue(np.isnan(found.correlation).all())
    self.assertLen(asked, fires.sum())
    for request in asked:
      self.assertEqual(request['temperature'], 0)
      self.assertNotIn('seed', request)

  def test_what_is_shown(self):
    _, asked = self.label(_right)
    for request in asked:
      active, silent = _shown(request)
      right = _right(request)
      words = next(w for w, said in _WORDS.items() if said == right)
      self.assertBetween(len(active), 1, 10)
      for passage in active:
        for word in passage.split():
          plain, *strength = re.split(r'(?=\[\[)', word)
          # All are as active as they ever are.
          self.assertEqual(strength, ['[[10]]'] if plain in words else [])
      self.assertLessEqual(len(silent), 4)
      for passage in silent:
        self.assertNoCommonElements(words, passage.split())
      self.assertNotIn('<|bos|>', str(request))

  def test_a_second_time_nobody_is_asked(self):
    first, asked = self.label(_right)
    self.assertNotEmpty(asked)
    again, asked = self.label(lambda request: 'unused')
    self.assertEmpty(asked)
    self.assertEqual(again.text, first.text)

  @parameterized.parameters(([_WRONG, None],), ([None, _WRONG],))
  def test_the_candidate_that_predicts_best_is_taken(self, order):
    def answer(request):
      self.assertEqual(request['temperature'], 1)
      return order[request['seed']] or _right(request)

    found, asked = self.label(answer, candidates=2, simulates=self.simulates)
    labelled = np.flatnonzero(found.labelled)
    self.assertLen(asked, 2 * len(labelled))
    for f in labelled:
      self.assertEqual(found.text[f], planted.CONCEPTS[f])
      self.assertAlmostEqual(found.correlation[f], 1)

  def test_candidates_that_are_no_labels_are_passed_over(self):
    found, _ = self.label(
      lambda request: ['', _WRONG][request['seed']],
      candidates=2,
      simulates=self.simulates,
    )
    self.assertEqual({t for t in found.text if t}, {_WRONG})
    self.assertLess(np.nanmax(found.correlation), 0.5)

  @parameterized.parameters(
    ('"a last name."', 'a last name'),
    ('\n  - a   last name\nBecause it is.', 'a last name'),
    ('“a last name”', 'a last name'),
    ('', None),
    (' "." ', None),
    ('a name ' * 50, None),
    ('a word which no explainer here can say', None),
  )
  def test_replies(self, reply, label):
    found, _ = self.label(lambda request: reply, most=len(planted.CONCEPTS))
    self.assertEqual({t for t in found.text if t is not None}, {label} - {None})

  def test_only_some_are_labelled(self):
    found, asked = self.label(_right, most=4)
    self.assertLen(found.text, len(planted.CONCEPTS))
    self.assertLessEqual(found.labelled.sum(), 4)
    self.assertLen(asked, found.labelled.sum())

  def test_pieces_of_text_are_joined_as_they_are(self):
    class Pieces:
      """Tokens that bring their own spaces."""

      def text(self, token):
        return ['<s>', ' Par', 'is', ',', ' oh'][token]

      def decode(self, ids, special):
        del special
        return ''.join(map(self.text, ids))

    asks = labeller.EndpointLabeller(None, Pieces(), 0, 1, 0, None)
    self.assertEqual(
      asks._marked(np.array([0, 1, 2, 3, 4]), np.array([0, 2, 10, 0, 0])),
      'Par[[2]]is[[10]], oh',
    )

  def test_configs(self):
    config = explanations.get_config().labels
    config.model = 'stub-1'
    made, note = labeller.make(config, _TOKENIZER, 0, 'float32')
    self.assertIsInstance(made, labeller.EndpointLabeller)
    self.assertEqual(
      (note['name'], note['model'], note['candidates']),
      ('endpoint', 'stub-1', 1),
    )
    for changes, message in (
      ({'candidates': 0}, 'labels.candidates is 0'),
      ({'features': -1}, 'labels.features is -1'),
      ({'candidates': 2}, 'expected a simulator'),
      ({'simulator': 'somewhere'}, 'expected a simulator'),
      ({'model': ''}, 'labels.model is empty'),
    ):
      bad = ml_collections.ConfigDict(config.to_dict())
      bad.update(changes)
      with self.assertRaisesRegex(errors.InputError, message):
        labeller.make(bad, _TOKENIZER, 0, 'float32')


if __name__ == '__main__':
  absltest.main()
