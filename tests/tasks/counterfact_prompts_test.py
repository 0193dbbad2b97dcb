# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of prompts about facts: which token is what, and stands for which."""

import re

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.data import counterfact
from selfexplain_jax.tasks import counterfact_prompts
from tests.tasks import text_targets

OPTIONS = ('French', 'Paris', 'piano')


def wording(rendering='base', **changes):
  """A wording whose words are tokens."""
  fields = dict(
    rendering=rendering,
    instruction='. Answer with {options}',
    cue='. Answer:',
    unknown='unknown',
  )
  return counterfact_prompts.Wording(**{**fields, **changes})


def _render(subject, answer, family='llama', rendering='base', prompt=None):
  prompt = prompt or 'The mother tongue of {} is'
  fact = counterfact.Fact('0', 'P103', prompt, subject, answer, 'Dutch')
  return counterfact_prompts.render(
    fact,
    'French',
    'piano',
    OPTIONS,
    wording(rendering),
    text_targets.TOKENIZERS[family],
  )


def _read(prompt, family='llama'):
  """The tokens and their places, but the instruction's, as text."""
  tokenizer = text_targets.TOKENIZERS[family]
  places = (counterfact_prompts.PLACES[p] for p in prompt.place)
  return [
    tokenizer.text(i) + (f'|{place}' if place != 'instruction' else '')
    for i, place in zip(prompt.ids, places, strict=True)
  ]


_OPTIONS_READ = [
  *(' French|original_option', ' or', ' Paris|other_option', ' or'),
  *(' piano|new_option', ' or', ' unknown'),
]


class RenderTest(parameterized.TestCase):
  def test_every_token_has_its_place(self):
    self.assertEqual(
      _read(_render('Anna Karla Gruber', 'French')),
      [
        '<|begin_of_text|>',
        *('The|relation', ' mother|relation', ' tongue|relation'),
        *(' of|relation', ' Anna|subject', ' Karla|subject'),
        *(' Gruber|subject_final', ' is|relation', '.', ' Answer', ' with'),
        *_OPTIONS_READ,
        *('.', ' Answer', ':|last_token'),
      ],
    )

  @parameterized.parameters('qwen', 'llama_chat')
  def test_a_chat_has_the_template_around_it(self, family):
    tokenizer = text_targets.TOKENIZERS[family]
    prompt = _render('Karla Keller', 'French', family, 'chat')
    content = (
      'The mother tongue of Karla Keller is. Answer with French or Paris or '
      'piano or unknown'
    )
    self.assertEqual(
      prompt.ids, tokenizer.encode_chat([{'role': 'user', 'content': content}])
    )
    read = _read(prompt, family)
    at = read.index(' Karla|subject')
    self.assertEqual(
      read[at - 4 : at + 13],
      [
        *('The|relation', ' mother|relation', ' tongue|relation'),
        *(' of|relation', ' Karla|subject', ' Keller|subject_final'),
        *(' is|relation', '.', ' Answer', ' with', *_OPTIONS_READ),
      ],
    )
    # Nothing of the template is anything else.
    around = [*read[: at - 4], *read[at + 13 : -1]]
    self.assertFalse([token for token in around if '|last' in token])
    self.assertFalse([token for token in around if token.endswith('tion')])
    self.assertEqual(read[-1], '\n|last_token')
    if family == 'qwen':
      self.assertEqual(read[-6:-1], ['<think>', '\n', '\n', '</think>', '\n'])

  def test_a_word_in_several_tokens_ends_in_the_subjects_last(self):
    read = _read(_render("Zoë O'Neill", 'French', prompt='{} is'))
    end = read.index(' is|relation')
    subject = [token.split('|')[1] for token in read[1:end]]
    self.assertGreater(len(subject), 4)
    self.assertEqual(subject, ['subject'] * (end - 2) + ['subject_final'])

  def test_a_token_that_ends_in_spaces_is_of_its_last_letter(self):
    prompt = 'Who speaks with {}?'
    text = 'Who speaks with Anna? Answer with French or unknown.'

    class Words:
      """Tokens are words with the space behind them."""

      def offsets(self, text):
        return [match.span() for match in re.finditer(r'\S+ *', text)]

      def encode_prompt(self, text):
        return [0, *range(1, 1 + len(self.offsets(text)))]

    found = counterfact_prompts.render(
      counterfact.Fact('0', 'P103', prompt, 'Anna', 'French', 'Dutch'),
      'French',
      'piano',
      ('French',),
      wording(instruction=' Answer with {options}', cue='.'),
      Words(),
    )
    places = [counterfact_prompts.PLACES[place] for place in found.place]
    self.assertEqual(len(found.ids), 1 + len(text.split()))
    self.assertEqual(
      places,
      [
        'instruction',
        *['relation'] * 4,  # 'Anna?' ends in the question mark.
        *['instruction'] * 2,
        'original_option',
        'instruction',
        'last_token',
      ],
    )

  def test_refuses_what_cannot_be_asked(self):
    for changes, pattern in (
      (dict(rendering='chatty'), "config.rendering is 'chatty': .*base or"),
      (dict(instruction='Answer'), "config.instruction is 'Answer'"),
      (dict(instruction='{options}{options}'), 'config.instruction is'),
    ):
      with self.assertRaisesRegex(errors.InputError, pattern):
        wording(**changes).check()
    wording().check()

  def test_refuses_a_chat_of_no_chat_model(self):
    with self.assertRaisesRegex(errors.InputError, 'no chat template'):
      _render('Karla Keller', 'French', 'llama', 'chat')


class AlignTest(absltest.TestCase):
  def test_by_hand(self):
    # 0 BOS  1 The  2 mother  3 tongue  4 of  5 Karla  6 Keller  7 is  8 . …
    short = _render('Karla Keller', 'French')
    # 0 BOS  1 The  2 mother  3 tongue  4 of  5 Anna  6 Karla  7 Gruber  8 is …
    long = _render('Anna Karla Gruber', 'piano')
    found = counterfact_prompts.align(short, long)
    self.assertEqual(found.tolist(), [-1] * 5 + list(range(6, 22)))
    # The first name of three has no counterpart among two.
    found = counterfact_prompts.align(long, short)
    self.assertEqual(found.tolist(), [-1] * 6 + list(range(5, 21)))

  def test_equal_tokens_after_equal_ones_have_none(self):
    first, other = (_render(f'Anna {n}', 'piano') for n in ('Keller', 'Gruber'))
    found = counterfact_prompts.align(first, other)
    # ' Anna' stands at 5 in both, after the same tokens; ' is' after others.
    self.assertEqual(found.tolist(), [-1] * 6 + list(range(6, 21)))

  def test_other_tokens_of_a_role_are_no_counterpart(self):
    first = _render('Anna Keller', 'piano', prompt='The mother tongue of {} is')
    other = _render('Karla Gruber', 'piano', prompt='The next tongue of {} is')
    found = counterfact_prompts.align(other, first)
    words = [text_targets.TOKENIZERS['llama'].text(i) for i in other.ids]
    self.assertEqual(found[words.index(' next')], -1)
    self.assertEqual(found[words.index(' tongue')], 3)


if __name__ == '__main__':
  absltest.main()
