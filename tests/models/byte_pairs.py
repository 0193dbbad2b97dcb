# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A small tokenizer of byte pairs, such as real models have."""

import functools

import tokenizers
from tokenizers import decoders
from tokenizers import pre_tokenizers

from selfexplain_jax.models import tokenizer as tokenizer_lib

TEXTS = (
  'The river runs past the old mill, and the mill stands still.',
  'A ship that sails by night is seen by none but the gulls.',
  'Rain fell on the roof all day; by night the roof leaked.',
)
_SPECIAL = {'bos_token': '<|bos|>', 'eos_token': '<|eot_id|>'}


@functools.cache
def tokenizer(bos: bool = True) -> tokenizer_lib.Tokenizer:
  """A tokenizer of any text at all; without a BOS it is like Qwen3's."""
  backend = tokenizers.Tokenizer(tokenizers.models.BPE())
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  backend.decoder = decoders.ByteLevel()
  backend.train_from_iterator(
    TEXTS,
    tokenizers.trainers.BpeTrainer(
      vocab_size=320,
      special_tokens=list(_SPECIAL.values()),
      initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
      show_progress=False,
    ),
  )
  special = dict(_SPECIAL)
  if not bos:
    del special['bos_token']
  return tokenizer_lib.Tokenizer(backend, special)
