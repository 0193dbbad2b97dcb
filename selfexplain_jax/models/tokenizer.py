# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Text to token ids and back: the only place where this happens.

A tokenizer is a folder with two files of Hugging Face's form: `tokenizer.json`
and `special_tokens_map.json`, which names the token of each role (`bos_token`,
`eos_token`, ...; `vector_token` and its two neighbours are ours). Ids are
looked up through these names and never written down. One of a chat model has a
template besides; see `chat_templates`.
"""

from collections.abc import Iterable, Mapping, Sequence
import difflib
import functools
import json
from typing import Any

import tokenizers

from selfexplain_jax import errors
from selfexplain_jax import files
from selfexplain_jax.models import chat_templates

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

# What stands around a vector and for it in models that were made without:
# tokens that they have and never learnt (method B.1), by family.
_RESERVED = (
  (
    '<|reserved_special_token_10|>',
    '<|reserved_special_token_12|>',
    '<|reserved_special_token_11|>',
  ),
  ('<|vision_start|>', '<|vision_pad|>', '<|vision_end|>'),
  ('<unused10>', '<unused12>', '<unused11>'),
)
_VECTOR_ROLES = ('vector_begin_token', 'vector_token', 'vector_end_token')

# The vector between its two neighbours (method B.1), by which it is found: its
# own embedding is never the same twice.
VECTOR = ' '.join(SPECIAL_TOKENS[role] for role in _VECTOR_ROLES)

_TOKENIZER_FILE = 'tokenizer.json'
_SPECIAL_FILE = 'special_tokens_map.json'


class Tokenizer:
  """A vocabulary and its special tokens.

  Attributes:
    special: the token of each role, with the keys of `SPECIAL_TOKENS`.
    chat_template: in Jinja, of chat models; None of others.
  """

  def __init__(
    self,
    backend: tokenizers.Tokenizer,
    special: Mapping[str, str],
    chat_template: str | None = None,
  ):
    """Wraps `backend`, whose vocabulary must hold the tokens in `special`."""
    backend.no_padding()
    backend.no_truncation()
    self._backend = backend
    self.special = dict(special)
    self.chat_template = chat_template
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
    known = 0 <= token_id < 2**31
    found = self._backend.id_to_token(token_id) if known else None
    if found is None:
      raise errors.InputError(
        f'no token has the id {token_id}: expected 0 to {self.vocab_size - 1}'
      )
    return found

  def text(self, token_id: int) -> str:
    """Returns what a token adds to a text, such as ' Paris'.

    Special tokens are written as they are named.

    Raises:
      errors.InputError: if no token has this id.
    """
    return self._backend.decode([token_id]) or self.token(token_id)

  def with_special(self, special: Mapping[str, str]) -> 'Tokenizer':
    """Returns the tokenizer with other tokens in some roles.

    Raises:
      errors.InputError: if a token is not in the vocabulary.
    """
    roles = {**self.special, **special}
    return Tokenizer(self._backend, roles, self.chat_template)

  def vector_text(self) -> str:
    """Returns the vector token between its two neighbours, as text."""
    for role in _VECTOR_ROLES:
      self.special_id(role)  # Says which is missing.
    tokens = [self.special[role] for role in _VECTOR_ROLES]
    own = [SPECIAL_TOKENS[role] for role in _VECTOR_ROLES]
    return VECTOR if tokens == own else ''.join(tokens)

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

  def offsets(self, text: str) -> list[tuple[int, int]]:
    """Returns where each token of `encode(text)` begins and ends in `text`.

    In characters; whether a space belongs to the word after it is the
    tokenizer's choice.
    """
    return self._backend.encode(text, add_special_tokens=False).offsets

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

  def encode_chat(
    self, messages: Sequence[Mapping[str, str]], begun: str = ''
  ) -> list[int]:
    """Returns the ids of a chat up to where the assistant goes on.

    Models that can think are told not to: their thoughts are empty.

    Args:
      messages: with `role` (`system`, `user` or `assistant`) and `content`.
      begun: how the assistant has begun its answer.

    Raises:
      errors.InputError: if this is no chat model's tokenizer, its template
        refuses the messages, or BOS comes anywhere but first.
    """
    text = self.render(messages, answering=True) + begun
    ids = self.encode(text)
    if self.bos_id in ids[1:]:
      raise errors.InputError(
        f'chat {text[:80]!r} has {self.special["bos_token"]} inside: expected '
        'it at the beginning alone, where the template writes it'
      )
    return ids

  @functools.cached_property
  def end_of_turn_id(self) -> int:
    """The token after an assistant's last one; `InputError` without a template.

    It is read off the template: a model's end token may be another.
    """
    asked = {'role': 'user', 'content': 'a'}
    answered = {'role': 'assistant', 'content': 'bcb'}
    whole = self.render([asked, answered], answering=False)
    _, found, rest = whole.rpartition('bcb')
    ids = self.encode(rest) if found else []
    if not ids:
      raise errors.InputError(
        'the chat template ends an answer with nothing: expected a token that '
        'ends the turn'
      )
    return ids[0]

  @property
  def end_ids(self) -> tuple[int, ...]:
    """What ends a text, and in a chat a turn."""
    found = [self.eos_id] if 'eos_token' in self.special else []
    if self.chat_template is not None:
      found.append(self.end_of_turn_id)
    return tuple(found)

  def render(
    self, messages: Sequence[Mapping[str, str]], answering: bool
  ) -> str:
    """Returns a chat as text; see `encode_chat`.

    Args:
      messages: as there.
      answering: whether the beginning of an assistant's turn comes at the end.
    """
    return chat_templates.render(self._renderer, messages, answering)

  @functools.cached_property
  def _renderer(self) -> Any:
    return chat_templates.renderer(
      self._backend, self.special, self.chat_template
    )

  def decode(self, ids: Iterable[int], special: bool = False) -> str:
    """Returns the text of `ids`.

    Words of a world are joined by single spaces.

    Args:
      ids: the tokens.
      special: whether special tokens are written too.
    """
    return self._backend.decode(list(ids), skip_special_tokens=not special)

  def digest(self) -> str:
    """Returns a hash of the files' content, as hex."""
    content = [json.loads(self._backend.to_str()), self.special]
    if self.chat_template is not None:
      content.append(self.chat_template)
    return files.digest_json(content)

  def save(self, directory: files.PathLike) -> None:
    """Writes the files, so that `load` gives an equal tokenizer."""
    folder = files.path(directory)
    text = self._backend.to_str(pretty=True)
    files.write_text(folder / _TOKENIZER_FILE, text + '\n')
    files.write_json(folder / _SPECIAL_FILE, self.special)
    if self.chat_template is not None:
      files.write_text(folder / chat_templates.FILE, self.chat_template)

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
  names = (chat_templates.CONFIG_FILE, _SPECIAL_FILE)
  present = [n for n in names if (folder / n).exists()] or [_SPECIAL_FILE]
  special: dict[str, str] = {}
  template = None
  for name in present:
    noted = files.read_json(folder / name, 'special tokens')
    special |= _special_tokens(noted)
    template = chat_templates.read(noted, folder / name) or template
    if noted.get('add_bos_token') is False:
      special.pop('bos_token', None)  # It has one, and is not to see it.
  if (folder / chat_templates.FILE).exists():
    template = (folder / chat_templates.FILE).read_text()
  return Tokenizer(backend, _with_vector_tokens(backend, special), template)


def _special_tokens(content: Mapping[str, object]) -> dict[str, str]:
  """Returns the token of each role, written as text or as an object."""
  found = {}
  for role, token in content.items():
    if isinstance(token, dict):
      token = token.get('content')
    if role.endswith('_token') and isinstance(token, str):
      found[role] = token
  return found


def _with_vector_tokens(
  backend: tokenizers.Tokenizer, special: Mapping[str, str]
) -> dict[str, str]:
  """Adds the roles around a vector, if the vocabulary has tokens for them."""
  if any(role in special for role in _VECTOR_ROLES):
    return dict(special)
  for tokens in _RESERVED:
    if all(backend.token_to_id(token) is not None for token in tokens):
      return {**special, **dict(zip(_VECTOR_ROLES, tokens, strict=True))}
  return dict(special)
