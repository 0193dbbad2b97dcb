# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the tokenizer."""

import json

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import tokenizer
from selfexplain_jax.models import word_tokenizers
from tests.models import byte_pairs

_WORDS = ('The', 'output', 'is', 'french', 'fresh', 'trench', 'oslo')


def _small():
  special = tokenizer.SPECIAL_TOKENS
  vocabulary = (*special.values(), *word_tokenizers.PUNCTUATION, *_WORDS)
  return word_tokenizers.make(vocabulary, special)


class TokenizerTest(parameterized.TestCase):
  @parameterized.parameters(
    ('The output is <<<french>>>.', 'The output is <<< french >>> .'),
    ('  french,oslo\n:<oslo>? ', 'french , oslo : < oslo > ?'),
    (
      '<|vector_begin|><|vector|><|vector|><|vector_end|>french',
      '<|vector_begin|> <|vector|> <|vector|> <|vector_end|> french',
    ),
    ('', ''),
  )
  def test_splits(self, text, expected):
    tokens = _small()
    ids = tokens.encode(text)
    self.assertEqual([tokens.token(i) for i in ids], expected.split())
    self.assertEqual(tokens.encode(expected), ids)

  def test_decode_leaves_special_tokens_out(self):
    tokens = _small()
    ids = tokens.encode('<|bos|> The <|vector|> output . <|eos|><|pad|>')
    self.assertLen(ids, 7)
    self.assertEqual(tokens.decode(ids), 'The output .')

  def test_prompt_has_one_bos(self):
    tokens = _small()
    self.assertEqual(
      tokens.encode_prompt('The output'), [1, *tokens.encode('The output')]
    )
    with self.assertRaisesRegex(errors.InputError, 'bos.*expected none'):
      tokens.encode_prompt('<|bos|> The output')

  @parameterized.parameters(True, False)
  def test_special_tokens_in_a_document_are_text(self, bos):
    tokens = byte_pairs.tokenizer(bos)
    text = 'said <|eot_id|> and <|bos|>'
    digest, prompt = tokens.digest(), tokens.encode(text)
    self.assertIn(tokens.eos_id, prompt)
    ids = tokens.encode_document(text)
    if bos:
      self.assertEqual(ids.pop(0), tokens.bos_id)
    self.assertNoCommonElements(ids, {tokens.id_of('<|bos|>'), tokens.eos_id})
    self.assertEqual(tokens.decode(ids), text)
    # Prompts still speak to the model.
    self.assertEqual(tokens.encode(text), prompt)
    self.assertEqual(tokens.digest(), digest)

  def test_a_document_with_an_unknown_word(self):
    tokens = _small()
    with self.assertRaisesRegex(errors.InputError, "'paris'"):
      tokens.encode_document('The paris')
    self.assertLen(tokens.encode('<|eos|>'), 1)

  def test_batch_is_each_text_alone(self):
    tokens = _small()
    texts = ['The output', '', 'oslo.']
    self.assertEqual(
      tokens.encode_batch(texts), [tokens.encode(text) for text in texts]
    )

  def test_unknown_word_is_named_with_its_nearest(self):
    with self.assertRaisesRegex(
      errors.InputError, "'frensh'.*'fresh', 'french', 'trench'"
    ):
      _small().encode_batch(['The output', '<|unk|> is <<<frensh>>>'])

  def test_vocabulary(self):
    tokens = _small()
    self.assertEqual(tokens.vocab_size, 8 + 8 + len(_WORDS))
    self.assertEqual(tokens.token(tokens.id_of('oslo')), 'oslo')
    with self.assertRaisesRegex(errors.InputError, "'paris'"):
      tokens.id_of('paris')
    for token_id in (-1, tokens.vocab_size):
      with self.assertRaisesRegex(errors.InputError, f'id {token_id}: '):
        tokens.token(token_id)

  def test_special_ids(self):
    tokens = _small()
    self.assertEqual(
      (tokens.bos_id, tokens.eos_id, tokens.vector_id), (1, 2, 6)
    )
    self.assertEqual(
      [tokens.special_id(role) for role in tokenizer.SPECIAL_TOKENS],
      list(range(8)),
    )
    with self.assertRaisesRegex(errors.InputError, 'no mask_token'):
      tokens.special_id('mask_token')


class FilesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = files.path(self.create_tempdir().full_path)

  def test_load_gives_what_was_saved(self):
    tokens = _small()
    tokens.save(self.folder / 'a')
    again = tokenizer.load(self.folder / 'a')
    self.assertEqual(again.digest(), tokens.digest())
    text = 'The output is <<<french>>>. <|vector|>'
    self.assertEqual(again.encode(text), tokens.encode(text))
    self.assertEqual(
      again.decode(again.encode(text)), tokens.decode(tokens.encode(text))
    )
    again.save(self.folder / 'b')
    for name in ('tokenizer.json', 'special_tokens_map.json'):
      self.assertEqual(
        (self.folder / 'a' / name).read_bytes(),
        (self.folder / 'b' / name).read_bytes(),
      )

  def test_digest_depends_on_special_tokens(self):
    _small().save(self.folder)
    files.write_json(
      self.folder / 'special_tokens_map.json',
      {**tokenizer.SPECIAL_TOKENS, 'eos_token': '<|sep|>'},
    )
    changed = tokenizer.load(self.folder)
    self.assertEqual(changed.token(changed.eos_id), '<|sep|>')
    self.assertNotEqual(changed.digest(), _small().digest())

  def test_reads_hugging_face_forms(self):
    tokens = _small()
    tokens.save(self.folder)
    (self.folder / 'special_tokens_map.json').unlink()
    # Padding would make ids depend on the batch: it must be switched off.
    content = json.loads((self.folder / 'tokenizer.json').read_text())
    content['padding'] = {
      'strategy': {'Fixed': 9},
      'direction': 'Left',
      'pad_to_multiple_of': None,
      'pad_id': 0,
      'pad_type_id': 0,
      'pad_token': '<|pad|>',
    }
    content['truncation'] = {
      'direction': 'Right',
      'max_length': 1,
      'strategy': 'LongestFirst',
      'stride': 0,
    }
    files.write_json(self.folder / 'tokenizer.json', content)
    files.write_json(
      self.folder / 'tokenizer_config.json',
      {
        'eos_token': {'content': '<|eos|>'},
        'bos_token': None,
        'add_bos_token': True,
      },
    )
    read = tokenizer.load(self.folder)
    self.assertIsNone(read.bos_id)
    self.assertEqual(read.eos_id, 2)
    self.assertEqual(
      read.encode_prompt('The output'), tokens.encode('The output')
    )
    with self.assertRaisesRegex(errors.InputError, 'no vector_token'):
      _ = read.vector_id

  def test_refuses(self):
    with self.assertRaisesRegex(errors.InputError, 'tokenizer not found'):
      tokenizer.load(self.folder)
    files.write_json(self.folder / 'tokenizer.json', {'model': 1})
    with self.assertRaisesRegex(errors.InputError, 'not a tokenizer'):
      tokenizer.load(self.folder)
    _small().save(self.folder)
    (self.folder / 'special_tokens_map.json').unlink()
    with self.assertRaisesRegex(errors.InputError, 'special tokens not found'):
      tokenizer.load(self.folder)
    files.write_json(
      self.folder / 'special_tokens_map.json', {'eos_token': '<|gone|>'}
    )
    with self.assertRaisesRegex(errors.InputError, '<|gone|>'):
      tokenizer.load(self.folder)


if __name__ == '__main__':
  absltest.main()
