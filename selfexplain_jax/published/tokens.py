# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Published tokens as ids of a target's vocabulary, checked against it."""

from collections.abc import Sequence

from selfexplain_jax import errors
from selfexplain_jax.models import tokenizer as tokenizer_lib


def prompt(
  tokenizer: tokenizer_lib.Tokenizer, tokens: Sequence[str], where: str
) -> list[int]:
  """Returns the ids of a prompt, BOS first where the model has one.

  Args:
    tokenizer: of the target.
    tokens: as the vocabulary writes them, with or without BOS.
    where: how errors name the prompt.

  Raises:
    errors.InputError: if a token is not in the vocabulary.
  """
  try:
    ids = [tokenizer.id_of(token) for token in tokens]
  except errors.InputError as e:
    raise errors.InputError(
      f'{where}: input_tokens: {e}, the data are of another model'
    ) from e
  bos = tokenizer.bos_id
  return ids if bos is None or ids[0] == bos else [bos, *ids]


def check_position(
  tokenizer: tokenizer_lib.Tokenizer,
  ids: Sequence[int],
  position: int,
  token: str,
  where: str,
) -> None:
  """Checks that a position, BOS counted, holds the token that it should.

  Data whose positions do not count BOS would be patched one token further on,
  and look like any other (method A.2).

  Raises:
    errors.InputError: naming what stands there, and where the token is.
  """
  if position < len(ids) and _is(tokenizer, ids[position], token):
    return
  found = [n for n, other in enumerate(ids) if _is(tokenizer, other, token)]
  there = (
    f'token {position} is {tokenizer.text(ids[position])!r}'
    if position < len(ids)
    else f'there are {len(ids)} tokens'
  )
  counted = 'no BOS' if tokenizer.bos_id is None else 'BOS counted as token 0'
  raise errors.InputError(
    f'{where}: orig_pos is {position} and orig_text_token {token!r}, but '
    f'{there}, and {token!r} is at {found or "no place"}: expected positions '
    f'of this model, {counted}'
  )


def output(tokenizer: tokenizer_lib.Tokenizer, said: str) -> int | None:
  """Returns the id of a token that a model said, given as text.

  None if it is no single token: a part of a character has no text of its own.
  """
  ids = tokenizer.encode(said)
  if len(ids) == 1:
    return ids[0]
  try:
    return tokenizer.id_of(said)
  except errors.InputError:
    return None


def _is(tokenizer: tokenizer_lib.Tokenizer, token_id: int, said: str) -> bool:
  """Whether a token is meant, as text or as the vocabulary writes it."""
  return said in (tokenizer.text(token_id), tokenizer.token(token_id))
