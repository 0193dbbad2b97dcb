# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of questions as they are typed."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.interview import request


class RequestTest(parameterized.TestCase):
  @parameterized.parameters(
    ('2', 6, (2, 2)),
    ('0', 1, (0, 0)),
    ('-1', 6, (5, 5)),
    ('1-3', 6, (1, 3)),
    (' 1 to 3 ', 6, (1, 3)),
    ('-3-5', 6, (3, 5)),
  )
  def test_spans(self, text, count, expected):
    self.assertEqual(request.span('--layer', text, count), expected)

  @parameterized.parameters(
    '', '6', '1' * 5000, '-7', '3-1', '1-6', 'two', '1.5', '1-2-3', '1-', '--1'
  )
  def test_refuses_spans(self, text):
    with self.assertRaisesRegex(errors.InputError, '--layer=.*0 to 5'):
      request.span('--layer', text, 6)

  def test_ids(self):
    self.assertIsNone(request.ids('--prompt_ids', None))
    self.assertEqual(request.ids('--prompt_ids', ['1', ' 17']), (1, 17))
    with self.assertRaisesRegex(errors.InputError, "--prompt_ids has 'x'"):
      request.ids('--prompt_ids', ['1', 'x'])

  @parameterized.parameters(
    (dict(position='1'), 'either --prompt or --prompt_ids'),
    (dict(prompt='a', prompt_ids=(1,)), 'either --prompt or --prompt_ids'),
    (dict(prompt='a', layer='1'), '--position is missing'),
    (
      dict(prompt='a', position='1', source='a', source_ids=(1,)),
      'one of them',
    ),
    (
      dict(prompt='a', position='1', source_position='1'),
      '--source_position without --source',
    ),
    (
      dict(prompt='a', position='1', layer='1', sweep=True),
      '--layer=1 and --sweep',
    ),
    (
      dict(prompt='a', position='1', source='a', replacement='b'),
      '--source, --replacement and --feature: expected one',
    ),
  )
  def test_refuses_halves_of_questions(self, fields, pattern):
    with self.assertRaisesRegex(errors.InputError, pattern):
      request.Request(**fields).require_whole()


if __name__ == '__main__':
  absltest.main()
