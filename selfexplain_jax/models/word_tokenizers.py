# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tokenizers whose tokens are words, for worlds and for models without text."""

from collections.abc import Iterable, Mapping, Sequence
import re

import tokenizers

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer

# Words of their own even where no space surrounds them.
PUNCTUATION = ('<<<', '>>>', '<', '>', '.', ',', ':', '?')


def make(
  vocabulary: Sequence[str], special: Mapping[str, str]
) -> tokenizer.Tokenizer:
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
  return tokenizer.Tokenizer(backend, special)


def of_ids(
  vocab_size: int,
  bos_id: int | None,
  eos_id: int,
  extra_words: Iterable[str] = (),
) -> tokenizer.Tokenizer:
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
  special = dict(tokenizer.SPECIAL_TOKENS)
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
  return make((*own, *added, *sorted(words)), special)
