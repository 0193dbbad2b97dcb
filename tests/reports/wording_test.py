# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of how figures and conclusions are worded."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax.reports import numbers
from selfexplain_jax.reports import wording


def _test(low, high, p):
  return {'value': 0.1, 'ci95': [low, high], 'p': p}


class WordingTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.123, '+12.3'), (-0.041, '−4.1'), (0.00004, '0.0'), (-0.00004, '0.0')
  )
  def test_signed(self, value, text):
    self.assertEqual(numbers.signed(value), text)

  def test_what_is_undefined_is_no_number(self):
    self.assertEqual(numbers.percent(None), '–')
    self.assertEqual(numbers.signed(None), '–')
    self.assertEqual(numbers.interval({'value': 0.5, 'ci95': None}), '')
    self.assertEqual(numbers.interval({'value': 0.5, 'ci95': [None, None]}), '')
    self.assertEqual(numbers.p_value(None), 'p unknown')

  def test_interval(self):
    estimate = {'value': 0.1, 'ci95': [-0.05, 0.25]}
    self.assertEqual(numbers.interval(estimate, True), '−5.0 to +25.0')
    estimate = {'value': 0.1, 'ci95': [0.05, 0.25]}
    self.assertEqual(numbers.interval(estimate), '5.0 to 25.0')

  @parameterized.parameters((0.0009, 'p < 0.001'), (0.0123, 'p = 0.012'))
  def test_p_value(self, p, text):
    self.assertEqual(numbers.p_value(p), text)

  @parameterized.parameters(*wording.GAPS)
  def test_conclusion(self, name):
    _, positive, negative, undecided = wording.GAPS[name]

    def says(low, high, p):
      return wording.conclusion(name, _test(low, high, p))

    self.assertEqual(says(0.01, 0.2, 0.01), positive)
    self.assertEqual(says(-0.2, -0.01, 0.01), negative)
    self.assertEqual(
      says(-0.01, 0.2, 0.01), f'The interval includes 0. {undecided}'
    )
    self.assertStartsWith(says(0.0, 0.2, 0.01), 'The interval includes 0.')
    self.assertEndsWith(says(0.01, 0.2, 0.07), undecided)
    self.assertIn('p = 0.070', says(0.01, 0.2, 0.07))
    self.assertStartsWith(says(None, None, 1.0), 'There are too few people')

  @parameterized.parameters(
    ('train', '9 questions of split train, about 4 people'),
    (
      'test',
      '9 questions about 4 people of split test, asked about in no training '
      'question',
    ),
  )
  def test_questions(self, split, text):
    self.assertEqual(wording.questions(9, 4, split), text)

  def test_published_data_are_not_said_to_be_new(self):
    figures = dict(n=72, groups=18, split='test', task='patching')
    self.assertEndsWith(wording.asked(figures), 'in no training question')
    leaking = dict(figures, also_in_train=dict(group=0.56, text=0.5))
    self.assertEqual(
      wording.asked(leaking),
      '72 published questions about 18 subjects of split test, of which '
      'training has 56% by group and 50% by text',
    )
    unknown = wording.asked(dict(figures, published=dict(self='x')))
    self.assertEndsWith(
      unknown, 'self learnt from is for its publishers to say'
    )

  def test_order_of_arms(self):
    self.assertEqual(
      wording.in_order(['zeta', 'majority', 'alpha', 'twin', 'self']),
      ['self', 'twin', 'majority', 'alpha', 'zeta'],
    )
    self.assertEqual(wording.arm('wrong_layer'), 'wrong layer')


if __name__ == '__main__':
  absltest.main()
