# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the choice of a judge, and of embeddings without a library."""

import importlib.util
import sys
from unittest import mock

from absl.testing import absltest
import ml_collections
import numpy as np

from experiments import evaluation
from selfexplain_jax import errors
from selfexplain_jax.judges import embeddings
from selfexplain_jax.judges import judge


class JudgeTest(absltest.TestCase):
  def test_words_by_default(self):
    similar = judge.make(evaluation.get_config().judge)
    self.assertEqual(similar.settings, {'kind': 'words'})
    self.assertAlmostEqual(float(similar(['a b'], ['a'])[0]), 0.5**0.5)

  def library(self):
    """Stands in for the library."""
    library = mock.MagicMock(__spec__='found')
    self.enter_context(
      mock.patch.dict(sys.modules, {'sentence_transformers': library})
    )
    return library

  def test_unknown(self):
    config = ml_collections.ConfigDict({'kind': 'oracle'})
    with self.assertRaisesRegex(errors.InputError, 'oracle.*expected words'):
      judge.make(config)

  def test_embeddings_need_a_name_and_a_library(self):
    config = evaluation.get_config().judge
    config.kind = 'embeddings'
    with self.assertRaisesRegex(errors.InputError, 'model is empty'):
      judge.make(config)
    config.model = 'small'
    with mock.patch.object(importlib.util, 'find_spec', return_value=None):
      for use in (judge.make, judge.check):
        with self.assertRaisesRegex(
          errors.InputError, r'pip install .selfexplain_jax\[embeddings\]'
        ):
          use(config)

  def test_a_model_that_the_library_does_not_have(self):
    library = self.library()
    library.SentenceTransformer.side_effect = OSError('no such model')
    with self.assertRaisesRegex(errors.InputError, "'small', which cannot"):
      embeddings.load('small')

  def test_the_librarys_encoder_is_asked(self):
    library = self.library()
    encoder = library.SentenceTransformer.return_value
    encoder.encode.return_value = np.eye(2)
    found = embeddings.load('small')(['a'], ['b'])
    np.testing.assert_array_equal(found, [0])
    library.SentenceTransformer.assert_called_with('small')
    encoder.encode.assert_called_with(['a', 'b'], show_progress_bar=False)


class EmbeddingsTest(absltest.TestCase):
  def test_cosines(self):
    place = {
      'east': [2, 0],
      'north': [0, 3],
      'northeast': [1, 1],
      'west': [-1, 0],
    }
    asked = []

    def encode(texts):
      asked.append(texts)
      return np.array([place[text] for text in texts], np.float32)

    similar = embeddings.Embeddings('compass', encode)
    found = similar(
      ['east', 'east', 'northeast', 'west', '', 'east', ' '],
      ['east', 'north', 'east', 'east', 'east', '', ''],
    )
    np.testing.assert_allclose(found, [1, 0, 0.5**0.5, 0, 0, 0, 0], atol=1e-7)
    # Each text once, and no empty ones.
    self.assertEqual(asked, [['east', 'north', 'northeast', 'west']])
    self.assertEqual(
      similar.settings, {'kind': 'embeddings', 'model': 'compass'}
    )
    np.testing.assert_array_equal(similar(['', 'a'], ['a', '']), [0, 0])


if __name__ == '__main__':
  absltest.main()
