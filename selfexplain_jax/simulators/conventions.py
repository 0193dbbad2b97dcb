# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Conventions: what a trained simulator reads, and where its levels are.

A simulator reads a description and then a document, both as tokens, and says at
each token of the document, in one pass, how active the described feature is
there (method C.2): the logits of 11 tokens, read at the token itself, are those
of the levels 0 to 10 of its activation. Which texts stand around the
description and what becomes of special tokens is a convention.
"""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib

LEVELS = 11  # 0, silent, to 10, as active as the feature ever is.


@dataclasses.dataclass(frozen=True)
class Convention:
  """A convention.

  Attributes:
    before: text before the description.
    after: text between it and the document.
    whole: whether documents keep their BOS.
    replaced: ids of special tokens, and what is read in their place.
    level_ids: the tokens of the levels.
    bos_id: the BOS that the tokenizer has to have; None for any or none.
  """

  before: str
  after: str
  whole: bool
  replaced: Mapping[int, int]
  level_ids: tuple[int, ...] = tuple(range(LEVELS))
  bos_id: int | None = None

  @property
  def start(self) -> int:
    """The first position of a document that is read."""
    return 0 if self.whole else 1

  def check(self, tokenizer: tokenizer_lib.Tokenizer, vocabulary: int) -> None:
    """Checks that a simulator's model and a target's tokenizer fit.

    Args:
      tokenizer: the target's.
      vocabulary: rows of the simulator's embedding.

    Raises:
      errors.InputError: if they do not.
    """
    if self.bos_id is not None and tokenizer.bos_id != self.bos_id:
      raise errors.InputError(
        f'the tokenizer has the BOS {tokenizer.bos_id}: expected {self.bos_id},'
        ' that of the models which this convention of simulators is for'
      )
    most = max((*self.level_ids, *self.replaced.values()))
    if vocabulary <= most:
      raise errors.InputError(
        f'the simulator has a vocabulary of {vocabulary}: expected more than '
        f'{most}, a token of its convention'
      )

  def prompt(
    self, tokenizer: tokenizer_lib.Tokenizer, description: str
  ) -> list[int]:
    """Returns what is read before a document.

    Raises:
      errors.InputError: if the description has a word that the tokenizer lacks.
    """
    text = f'{self.before}{description}{self.after}'
    return [self.replaced.get(i, i) for i in tokenizer.encode_prompt(text)]

  def document(self, tokens_NxT: np.ndarray) -> np.ndarray:
    """Returns what is read of documents, i32 [N, T - start]."""
    read = np.array(tokens_NxT[:, self.start :], np.int32)
    for old, new in self.replaced.items():
      read[tokens_NxT[:, self.start :] == old] = new
    return read


PLAIN = 'plain'
PUBLISHED = 'published'

CONVENTIONS: dict[str, Convention] = {
  # Of the simulators that are trained here, of any tokenizer.
  PLAIN: Convention(before='', after=' >>>', whole=False, replaced={}),
  # Of the simulator that the paper published for Llama 3.1, whose four added
  # tokens stand for BOS, the two around a header, and the end of a turn.
  PUBLISHED: Convention(
    before='## Neuron Description: ',
    after='\n\n ## Input: ',
    whole=True,
    replaced={
      128000: 128257,
      128006: 128258,
      128007: 128259,
      128009: 128260,
    },
    bos_id=128000,
  ),
}


def convention(name: str) -> Convention:
  """Returns a convention.

  Raises:
    errors.InputError: if there is none of this name.
  """
  if name not in CONVENTIONS:
    raise errors.InputError(
      f'no convention of simulators is called {name!r}: expected one of '
      f'{", ".join(CONVENTIONS)}'
    )
  return CONVENTIONS[name]


def rows(
  prompts: Sequence[Sequence[int]], documents_NxT: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
  """Joins each prompt with a document, padded on the right with 0.

  Nothing sees what comes after it, so padding changes nothing.

  Args:
    prompts: N.
    documents_NxT: i32.
    length: of the rows.

  Returns:
    i32[N, length], and i32[N], where the documents begin.
  """
  tokens = np.zeros((len(prompts), length), np.int32)
  starts = np.array([len(prompt) for prompt in prompts], np.int32)
  for row, prompt, document in zip(tokens, prompts, documents_NxT, strict=True):
    read = (*prompt, *document)
    row[: len(read)] = read
  return tokens, starts
