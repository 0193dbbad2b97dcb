# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of tokenizers of any text, and of chats, against `transformers`."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import transformers

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib
from tests.models import text_tokenizers

_SYSTEM = {'role': 'system', 'content': 'Say a letter.'}
_USER = {'role': 'user', 'content': 'Which of these is a fruit?'}


class ChatTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _llama(self):
    return text_tokenizers.write_llama(self.folder / 'llama', chat=True)

  def _qwen(self):
    return text_tokenizers.write_qwen(self.folder / 'qwen')

  def _theirs(self, name):
    return transformers.AutoTokenizer.from_pretrained(self.folder / name)

  @parameterized.parameters('llama', 'qwen')
  def test_prompts_are_those_of_the_library(self, name):
    ours = getattr(self, f'_{name}')()
    for text in ('The piano.', ' Paris, 0.5?\n\n', 'ü 漢字'):
      self.assertEqual(
        ours.encode_prompt(text), self._theirs(name)(text)['input_ids']
      )

  @parameterized.product(
    name=('llama', 'qwen'), messages=([_USER], [_SYSTEM, _USER])
  )
  def test_chats_are_those_of_the_library(self, name, messages):
    ours = getattr(self, f'_{name}')()
    expected = self._theirs(name).apply_chat_template(
      messages,
      add_generation_prompt=True,
      enable_thinking=False,
      return_dict=False,
    )
    self.assertEqual(ours.encode_chat(messages), expected)

  def test_a_chat_has_one_begin_token(self):
    ours = self._llama()
    ids = ours.encode_chat([_SYSTEM, _USER])
    self.assertEqual((ids[0], ids.count(ours.bos_id)), (ours.bos_id, 1))
    with self.assertRaisesRegex(errors.InputError, 'begin_of_text.*inside'):
      ours.encode_chat([{'role': 'user', 'content': 'a <|begin_of_text|> b'}])

  def test_thoughts_are_empty_and_the_answer_goes_on(self):
    ours = self._qwen()
    self.assertIsNone(ours.bos_id)
    text = ours.decode(ours.encode_chat([_USER], 'Answer:'), special=True)
    self.assertEndsWith(
      text, '<|im_start|>assistant\n<think>\n\n</think>\n\nAnswer:'
    )

  def test_the_end_of_a_turn_is_read_off_the_template(self):
    llama, qwen = self._llama(), self._qwen()
    self.assertEqual(llama.token(llama.end_of_turn_id), '<|eot_id|>')
    self.assertEqual(qwen.token(qwen.end_of_turn_id), '<|im_end|>')

  def test_what_ends_a_text_or_a_turn(self):
    base = text_tokenizers.write_llama(self.folder / 'base')
    self.assertEqual(base.end_ids, (base.id_of('<|end_of_text|>'),))
    llama, qwen = self._llama(), self._qwen()
    self.assertEqual(set(llama.end_ids), {llama.id_of('<|eot_id|>')})
    self.assertEqual(set(qwen.end_ids), {qwen.id_of('<|im_end|>')})

  @parameterized.parameters('llama', 'qwen')
  def test_offsets_are_those_of_the_library(self, name):
    ours = getattr(self, f'_{name}')()
    for text in ('The piano. Zoë\n\n', ours.render([_USER], answering=True)):
      found = ours.offsets(text)
      self.assertLen(found, len(ours.encode(text)))
      theirs = self._theirs(name)(
        text, add_special_tokens=False, return_offsets_mapping=True
      )
      self.assertEqual(found, theirs['offset_mapping'])
      self.assertEqual(text[found[0][0] : found[-1][1]], text)

  def test_base_models_have_no_chat(self):
    base = text_tokenizers.write_llama(self.folder / 'base')
    with self.assertRaisesRegex(errors.InputError, 'no chat template'):
      base.encode_chat([_USER])

  def test_the_date_of_today_is_in_no_prompt(self):
    ours = self._llama()
    ours.chat_template = (
      '{%- if not date_string is defined %}'
      "{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
      '{{ date_string }}'
    )
    self.assertEqual(ours.render([_USER], True), '26 Jul 2024')

  def test_a_template_that_refuses(self):
    ours = self._llama()
    ours.chat_template = "{{ raise_exception('only users here') }}"
    with self.assertRaisesRegex(errors.InputError, 'system, user.*only users'):
      ours.encode_chat([_SYSTEM, _USER])

  @parameterized.parameters('llama', 'qwen')
  def test_comes_back(self, name):
    ours = getattr(self, f'_{name}')()
    ours.save(self.folder / 'again')
    again = tokenizer_lib.load(self.folder / 'again')
    self.assertEqual(again.digest(), ours.digest())
    self.assertEqual(again.encode_chat([_USER]), ours.encode_chat([_USER]))

  def test_another_template_is_another_tokenizer(self):
    ours, other = self._qwen(), self._qwen()
    other.chat_template += ' '
    self.assertNotEqual(ours.digest(), other.digest())

  def test_vectors_have_reserved_tokens(self):
    llama, qwen = self._llama(), self._qwen()
    number = '<|reserved_special_token_{}|>'.format
    self.assertEqual(llama.vector_text(), number(10) + number(12) + number(11))
    self.assertEqual(llama.token(llama.vector_id), number(12))
    self.assertEqual(
      qwen.vector_text(), '<|vision_start|><|vision_pad|><|vision_end|>'
    )

  def test_tokens_as_text(self):
    ours = self._llama()
    (paris,) = ours.encode(' Paris')
    self.assertEqual(ours.token(paris), 'ĠParis')
    self.assertEqual(ours.text(paris), ' Paris')
    self.assertEqual(ours.text(ours.bos_id), '<|begin_of_text|>')
    with self.assertRaisesRegex(errors.InputError, 'no token.*100000'):
      ours.text(100_000)

  def test_a_named_template_of_several(self):
    ours = self._llama()
    template = ours.chat_template
    several = [
      dict(name='tool_use', template='x'),
      dict(name='default', template=template),
    ]
    self._change(chat_template=several)
    again = tokenizer_lib.load(self.folder / 'llama')
    self.assertEqual(again.chat_template, template)
    self._change(chat_template=3)
    with self.assertRaisesRegex(errors.InputError, 'chat_template of type int'):
      tokenizer_lib.load(self.folder / 'llama')

  def _change(self, **fields):
    name = self.folder / 'llama' / 'tokenizer_config.json'
    config = tokenizer_lib.files.read_json(name, 'config')
    tokenizer_lib.files.write_json(name, {**config, **fields})


if __name__ == '__main__':
  absltest.main()
