# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of ratings: what is asked, what is understood, what is missing."""

import re

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax.fidelity import similarity
from selfexplain_jax.judges import judge
from selfexplain_jax.judges import rating
from tests.judges import stub


def _asked(request):
  """The pair that a request is about, after the examples."""
  text = request['messages'][0]['content']
  return re.findall(r'Proposal: (.*)\nReference: (.*)\nRating:', text)[-1]


class RatingTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.cache = self.create_tempdir().full_path

  def rate(self, answer, said, expected):
    with stub.serving(answer) as server:
      similar = judge.make(stub.config(server.url, self.cache))
      return similar(said, expected), server.asked

  def test_ratings_become_scores(self):
    ratings = {
      'one': '1',
      'two': ' 2 ',
      'three': '3.',
      'four': '4',
      'five': '5',
    }
    said = list(ratings)
    found, asked = self.rate(
      lambda request: ratings[_asked(request)[0]], said, ['numbers'] * 5
    )
    np.testing.assert_array_equal(found, [0, 0.25, 0.5, 0.75, 1])
    self.assertEqual(found.dtype, np.float64)
    self.assertCountEqual(map(_asked, asked), [(s, 'numbers') for s in said])
    for request in asked:
      self.assertLen(request['messages'], 1)
      self.assertEqual((request['temperature'], request['max_tokens']), (0, 10))

  def test_no_words_and_the_label_itself_are_not_asked_about(self):
    found, asked = self.rate(
      lambda request: 'unused',
      ['', ' ', 'a label', 'said'],
      ['x', 'y', 'a label', ''],
    )
    np.testing.assert_array_equal(found, [0, 0, 1, 0])
    self.assertEmpty(asked)

  @parameterized.parameters(
    'I cannot say',
    '',
    '0',
    '6',
    '45',
    '2.5',
    'between 3 and 4',
    '4/5',
  )
  def test_whoever_gives_no_rating_is_asked_once_more(self, unclear):
    found, asked = self.rate(stub.in_turn(unclear, 'Rating: 4'), ['a'], ['b'])
    np.testing.assert_array_equal(found, [0.75])
    first, second = asked
    self.assertEqual(
      second['messages'][:2],
      [*first['messages'], {'role': 'assistant', 'content': unclear}],
    )
    self.assertLen(second['messages'], 3)

  def test_without_a_rating_nothing_is_known(self):
    def answer(request):
      return '5' if _asked(request)[0] == 'good' else 'well, well'

    found, asked = self.rate(answer, ['bad', 'good'], ['label', 'label'])
    np.testing.assert_array_equal(found, [np.nan, 1])
    self.assertLen(asked, 3)
    # Nor is that asked again another time.
    again, asked = self.rate(answer, ['bad', 'good'], ['label', 'label'])
    np.testing.assert_array_equal(again, found)
    self.assertEmpty(asked)

  def test_the_best_of_several_counts(self):
    with stub.serving(
      lambda r: {'far': '2', 'near': '4'}[_asked(r)[0]]
    ) as server:
      similar = judge.make(stub.config(server.url, self.cache))
      found = similarity.best(similar, [['far', 'near'], ['far']], ['x', 'x'])
    np.testing.assert_array_equal(found, [0.75, 0.25])

  def test_examples_show_every_rating(self):
    (message,) = rating._messages('said', 'expected')
    shown = re.findall(r'Rating: (\d)', message['content'])
    self.assertEqual(shown, list('12345'))

  def test_settings_name_the_model_and_the_wording(self):
    settings = judge.make(stub.config('http://host/v1', 'cache')).settings
    self.assertEqual(settings['kind'], 'endpoint')
    self.assertEqual(settings['model'], 'stub-1')
    self.assertLen(settings['prompt_digest'], 64)
    self.assertNotIn('host', str(settings))


if __name__ == '__main__':
  absltest.main()
