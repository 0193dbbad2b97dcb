# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Text to token ids and back: the only place where this happens.

A tokenizer is a folder with two files of Hugging Face's form: `tokenizer.json`
and `special_tokens_map.json`, which names the token of each role (`bos_token`,
`eos_token`, ...; `vector_token` and its two neighbours are ours). Ids are
looked up through these names and never written down.
"""

from collections.abc import Iterable, Mapping, Sequence
import difflib
import json
import re

import tokenizers

from selfexplain_jax import errors
from selfexplain_jax import files

# The special tokens of tokenizers made here, in the order of their ids. A
# vector token stands where an activation is put in the explainer's input.
SPECIAL_TOKENS = {
  'pad_token': '<|pad|>',
  'bos_token': '<|bos|>',
  'eos_token': '<|eos|>',
  'unk_token': '<|unk|>',
  'vector_begin_token': '<|vector_begin|>',
  'vector_end_token': '<|vector_end|>',
  'vector_token': '<|vector|>',
  'sep_token': '<|sep|>',
}

# Words of their own even where no space surrounds them.
PUNCTUATION = ('<<<', '>>>', '<', '>', '.', ',', ':', '?')

_TOKENIZER_FILE = 'tokenizer.json'
_SPECIAL_FILE = 'special_tokens_map.json'
# Later releases of Hugging Face's library write the same names here instead.
_CONFIG_FILE = 'tokenizer_config.json'


class Tokenizer:
  """A vocabulary and its special tokens.

  Attributes:
    special: the token of each role, with the keys of `SPECIAL_TOKENS`.
  """

  def __init__(self, backend: tokenizers.Tokenizer, special: Mapping[str, str]):
    """Wraps `backend`, whose vocabulary must hold the tokens in `special`."""
    backend.no_padding()
    backend.no_truncation()
    self._backend = backend
    self.special = dict(special)
    for role in special:
      self.special_id(role)

  @property
  def vocab_size(self) -> int:
    return self._backend.get_vocab_size()

  @property
  def bos_id(self) -> int | None:
    """None for models that are trained without one."""
    return self.special_id('bos_token') if 'bos_token' in self.special else None

  @property
  def eos_id(self) -> int:
    return self.special_id('eos_token')

  @property
  def vector_id(self) -> int:
    return self.special_id('vector_token')

  def special_id(self, role: str) -> int:
    """Returns the id of the token in a role.

    Raises:
      errors.InputError: if no token has this role.
    """
    if role not in self.special:
      raise errors.InputError(
        f'tokenizer has no {role}: expected that key in {_SPECIAL_FILE}'
      )
    return self.id_of(self.special[role])

  def id_of(self, token: str) -> int:
    """Returns the id of a token; `errors.InputError` if there is none."""
    found = self._backend.token_to_id(token)
    if found is None:
      raise errors.InputError(
        f'token {token!r} is not in the vocabulary of {self.vocab_size}'
        ' tokens: expected one that is'
      )
    return found

  def token(self, token_id: int) -> str:
    """Returns the token of an id; `errors.InputError` if there is none."""
    found = self._backend.id_to_token(token_id) if token_id >= 0 else None
    if found is None:
      raise errors.InputError(
        f'no token has the id {token_id}: expected 0 to {self.vocab_size - 1}'
      )
    return found

  def encode(self, text: str) -> list[int]:
    """Returns the ids of `text`, nothing added; see `encode_batch`."""
    return self.encode_batch([text])[0]

  def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
    """Returns the ids of each text, with no BOS or end token added.

    Raises:
      errors.InputError: if a text holds a word that the vocabulary does not.
    """
    texts = list(texts)
    encodings = self._backend.encode_batch(texts, add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
      self._check_known(text, encoding)
    return [encoding.ids for encoding in encodings]

  def encode_prompt(self, text: str) -> list[int]:
    """Returns BOS and the ids of `text`.

    A BOS is added nowhere but here and in `encode_document`.

    Raises:
      errors.InputError: if `text` has a BOS already, or an unknown word.
    """
    ids = self.encode(text)
    if self.bos_id is None:
      return ids
    if self.bos_id in ids:
      raise errors.InputError(
        f'prompt {text!r} contains {self.special["bos_token"]}: expected'
        ' none, it is added'
      )
    return [self.bos_id, *ids]

  def encode_document(self, text: str) -> list[int]:
    """Returns BOS and the ids of a document of a corpus.

    What looks like a special token in it is text like any other: whoever wrote
    the document does not speak to the model.

    Raises:
      errors.InputError: if `text` has an unknown word.
    """
    self._backend.encode_special_tokens = True
    try:
      ids = self.encode(text)
    finally:
      self._backend.encode_special_tokens = False
    return ids if self.bos_id is None else [self.bos_id, *ids]

  def decode(self, ids: Iterable[int]) -> str:
    """Returns the text of `ids` without special tokens.

    Words of a world are joined by single spaces.
    """
    return self._backend.decode(list(ids), skip_special_tokens=True)

  def digest(self) -> str:
    """Returns a hash of both files' content, as hex."""
    return files.digest_json([json.loads(self._backend.to_str()), self.special])

  def save(self, directory: files.PathLike) -> None:
    """Writes the two files, so that `load` gives an equal tokenizer."""
    folder = files.path(directory)
    text = self._backend.to_str(pretty=True)
    files.write_text(folder / _TOKENIZER_FILE, text + '\n')
    files.write_json(folder / _SPECIAL_FILE, self.special)

  def _check_known(self, text: str, encoding: tokenizers.Encoding) -> None:
    """Raises `errors.InputError` if a word of `text` became the unknown one."""
    unknown = self.special.get('unk_token')
    if unknown not in encoding.tokens:
      return
    for token, (start, end) in zip(
      encoding.tokens, encoding.offsets, strict=True
    ):
      word = text[start:end]
      # A text may name the unknown token itself.
      if token == unknown and word != unknown:
        words = self._backend.get_vocab().keys() - self.special.values()
        near = difflib.get_close_matches(word, words, n=3, cutoff=0.0)
        raise errors.InputError(
          f'word {word!r} is not in the vocabulary: expected known words, of'
          f' which {", ".join(map(repr, near))} are nearest'
        )


def load(directory: files.PathLike) -> Tokenizer:
  """Reads a tokenizer that `Tokenizer.save` or Hugging Face's library wrote.

  Raises:
    errors.InputError: if a file is missing or is not a tokenizer's.
  """
  folder = files.path(directory)
  content = files.read_json(folder / _TOKENIZER_FILE, 'tokenizer')
  try:
    backend = tokenizers.Tokenizer.from_str(json.dumps(content))
  except Exception as e:  # The library raises no narrower class.
    raise errors.InputError(
      f'not a tokenizer: {folder / _TOKENIZER_FILE}: {e}'
    ) from e
  present = [
    name for name in (_CONFIG_FILE, _SPECIAL_FILE) if (folder / name).exists()
  ] or [_SPECIAL_FILE]
  special: dict[str, str] = {}
  for name in present:
    special |= _special_tokens(files.read_json(folder / name, 'special tokens'))
  return Tokenizer(backend, special)


def word_tokenizer(
  vocabulary: Sequence[str], special: Mapping[str, str]
) -> Tokenizer:
  """Makes a tokenizer whose tokens are words.

  Text is split at white space and around `PUNCTUATION`.

  Args:
    vocabulary: the tokens, in the order of their ids.
    special: the token of each role; all are in `vocabulary`.

  Raises:
    errors.InputError: if a word occurs twice, or would be split in two.
  """
  model = tokenizers.models.WordLevel(
    {word: i for i, word in enumerate(vocabulary)}, special['unk_token']
  )
  backend = tokenizers.Tokenizer(model)
  # Longer punctuation is listed, and so matched, first.
  marks = tokenizers.Regex('|'.join(map(re.escape, PUNCTUATION)))
  backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
    [
      tokenizers.pre_tokenizers.WhitespaceSplit(),
      tokenizers.pre_tokenizers.Split(marks, 'isolated'),
    ]
  )
  # A token like `t1` must not match inside the word `t12`.
  backend.add_special_tokens(
    [
      tokenizers.AddedToken(token, special=True, single_word=token.isalnum())
      for token in special.values()
    ]
  )
  encodings = backend.encode_batch(list(vocabulary), add_special_tokens=False)
  for i, (word, encoding) in enumerate(zip(vocabulary, encodings, strict=True)):
    if encoding.ids != [i]:
      raise errors.InputError(
        f'vocabulary has the word {word!r} at {i}: expected one word that'
        ' occurs once and holds no space or punctuation'
      )
  return Tokenizer(backend, special)


def id_tokenizer(
  vocab_size: int,
  bos_id: int | None,
  eos_id: int,
  extra_words: Iterable[str] = (),
) -> Tokenizer:
  """Makes a tokenizer for a model that comes without one.

  Token i is written `t{i}`, so `t5 t17` are the ids 5 and 17. The special
  tokens that the model lacks, punctuation and `extra_words` (sorted) follow
  after `vocab_size`: an explainer's embedding has rows for them.

  Args:
    vocab_size: tokens of the model.
    bos_id: its begin token, None if it has none.
    eos_id: its end token.
    extra_words: words of questions and answers.

  Raises:
    errors.InputError: if `bos_id` or `eos_id` is outside the vocabulary.
  """
  own = [f't{i}' for i in range(vocab_size)]
  special = dict(SPECIAL_TOKENS)
  del special['bos_token'], special['eos_token']
  added = list(special.values())
  for role, token_id in (('bos_token', bos_id), ('eos_token', eos_id)):
    if token_id is None:
      continue
    if not 0 <= token_id < vocab_size:
      raise errors.InputError(
        f'{role} has the id {token_id}: expected 0 to {vocab_size - 1}'
      )
    special[role] = own[token_id]
  words = {*PUNCTUATION, *extra_words}.difference(own, added)
  return word_tokenizer((*own, *added, *sorted(words)), special)


def _special_tokens(content: Mapping[str, object]) -> dict[str, str]:
  """Returns the token of each role, written as text or as an object."""
  found = {}
  for role, token in content.items():
    if isinstance(token, dict):
      token = token.get('content')
    if role.endswith('_token') and isinstance(token, str):
      found[role] = token
  return found
