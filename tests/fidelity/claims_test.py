# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests that answers are read as they were written, and nothing else is."""

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.fidelity import claims

CHANGED = 'The most likely output would change to <<<french>>>.'
UNCHANGED = 'The output would remain unchanged from <<<french>>>.'


class ClaimsTest(parameterized.TestCase):
  def test_renders_the_wording_of_the_paper(self):
    self.assertEqual(claims.render(True, 'french'), CHANGED)
    self.assertEqual(claims.render(False, 'french'), UNCHANGED)

  @parameterized.product(
    changed=[True, False],
    content=[
      'french',
      ' Hamas',
      'Answer: B',
      '',
      ' ',
      '\n',
      '.',
      '<<<',
      '>',
      '>>',
      '<a',
      'a>',
      'two words',
      "d'être",
      'a\nb',
      'x>>y',
      '>> >',
    ],
  )
  def test_round_trip_is_exact(self, changed, content):
    self.assertEqual(
      claims.parse(claims.render(changed, content)),
      claims.Claim(changed, content),
    )

  def test_content_with_the_closing_marker_is_refused(self):
    with self.assertRaisesRegex(errors.InputError, '>>>'):
      claims.render(True, 'a>>>b')

  @parameterized.parameters(
    (CHANGED, True),
    (UNCHANGED, False),
    (CHANGED.upper(), True),
    (UNCHANGED.lower(), False),
    (CHANGED[:-1], True),
    ('The most likely output would change to <<< french >>> .', True),
    ('The output would remain unchanged from<<<french>>>', False),
    ('\n ' + UNCHANGED + ' \n', False),
  )
  def test_forgives_case_white_space_and_the_period(self, answer, changed):
    claim = claims.parse(answer)
    self.assertIsNotNone(claim)
    self.assertTrue(claim.matches(claims.Claim(changed, 'french')))
    self.assertFalse(claim.matches(claims.Claim(not changed, 'french')))
    self.assertFalse(claim.matches(claims.Claim(changed, 'german')))

  @parameterized.parameters(
    '',
    'french',
    '<<<french>>>',
    'The most likely output would change to french.',
    'The most likely output would change to <<french>>.',
    'The most likely output would change to <<<french.',
    'The most likely output would change to <<<french>>>..',
    'The most likely output would change to <<<french>>>!',
    'The most likely output will change to <<<french>>>.',
    'The output would change to <<<french>>>.',
    'The output would remain unchanged to <<<french>>>.',
    'Sure: ' + CHANGED,
    CHANGED + ' ' + CHANGED,
    UNCHANGED + ' ' + CHANGED,
    CHANGED[:-1] + ' <<<german>>>.',
    'The moſt likely output would change to <<<french>>>.',
  )
  def test_anything_else_is_invalid(self, answer):
    self.assertIsNone(claims.parse(answer))

  @parameterized.parameters(
    (' Hamas', 'hamas', True),
    ('answer  :\tb', 'Answer : B', True),
    ('a b', 'ab', False),
    ('.', '', False),
    ('\n', ' ', False),
    ('\n', '\n', True),
    ('', '', True),
    ('', ' ', False),
  )
  def test_same_content(self, a, b, same):
    self.assertEqual(claims.same_content(a, b), same)
    self.assertEqual(claims.same_content(b, a), same)


if __name__ == '__main__':
  absltest.main()
