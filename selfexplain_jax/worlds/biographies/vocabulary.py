# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The words that a model of the biographies world can read and write."""

from collections.abc import Iterable

from selfexplain_jax.models import tokenizer
from selfexplain_jax.models import word_tokenizers
from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import words


def corpus_words(world: facts.World) -> tuple[str, ...]:
  """Returns every word that a document can contain, sorted."""
  found = {*words.FIRST_NAMES, *words.LAST_NAMES, *corpus.FRAME_WORDS}
  for relation in world.relations:
    found.update(relation.values)
    found.update(*(phrasing.words for phrasing in relation.phrasings))
  return tuple(sorted(found))


def build_tokenizer(
  world: facts.World, extra_words: Iterable[str]
) -> tokenizer.Tokenizer:
  """Builds the tokenizer of a world: one token a word.

  Worlds of all seeds have the same words, so one tokenizer serves them all.
  Ids are the special tokens' first, and then alphabetic.

  Args:
    world: the world.
    extra_words: words of questions and answers, in any order.

  Raises:
    errors.InputError: if an extra word would be split in two.
  """
  special = tokenizer.SPECIAL_TOKENS
  found = {*corpus_words(world), *word_tokenizers.PUNCTUATION, *extra_words}
  plain = sorted(found.difference(special.values()))
  return word_tokenizers.make((*special.values(), *plain), special)
