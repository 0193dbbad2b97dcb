# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Chats as text, by a model's template, which `transformers` renders."""

from collections.abc import Mapping, Sequence
import os
from typing import Any

import jinja2
import tokenizers

from selfexplain_jax import errors

FILE = 'chat_template.jinja'
# Hugging Face's library writes templates here too, and in later releases the
# names of special tokens.
CONFIG_FILE = 'tokenizer_config.json'
# Templates that write the date of today would give other prompts each day: they
# get this one, which those of Llama 3.1 have themselves.
_DATE = '26 Jul 2024'


def read(content: Mapping[str, Any], where: Any) -> str | None:
  """Returns the chat template in a config: the default one of several."""
  found = content.get('chat_template')
  if isinstance(found, list):
    named = {t.get('name'): t.get('template') for t in found}
    found = named.get('default')
  if found is not None and not isinstance(found, str):
    raise errors.InputError(
      f'{where} has a chat_template of type {type(found).__name__}: expected '
      'a text'
    )
  return found


def renderer(
  backend: tokenizers.Tokenizer,
  special: Mapping[str, str],
  template: str | None,
) -> Any:
  """Returns the library's tokenizer, which renders templates in a sandbox.

  Args:
    backend: the vocabulary.
    special: the token of each role.
    template: in Jinja; None of models that are no chat models.

  Raises:
    errors.InputError: if there is no template.
  """
  if template is None:
    raise errors.InputError(
      'this tokenizer has no chat template: expected that of a chat model, '
      f'in {FILE} or {CONFIG_FILE}'
    )
  return _transformers().PreTrainedTokenizerFast(
    tokenizer_object=backend,
    chat_template=template,
    **{
      role: token
      for role, token in special.items()
      if role in ('bos_token', 'eos_token', 'pad_token', 'unk_token')
    },
  )


def render(
  by: Any, messages: Sequence[Mapping[str, str]], answering: bool
) -> str:
  """Returns a chat as text; models that can think are told not to.

  Args:
    by: what `renderer` returned.
    messages: with `role` and `content`.
    answering: whether the beginning of an assistant's turn comes at the end.

  Raises:
    errors.InputError: if the template refuses the messages.
  """
  try:
    return by.apply_chat_template(
      [dict(message) for message in messages],
      tokenize=False,
      add_generation_prompt=answering,
      enable_thinking=False,
      date_string=_DATE,
    )
  except jinja2.TemplateError as e:
    roles = ', '.join(message['role'] for message in messages)
    raise errors.InputError(
      f'the chat template refuses messages of {roles}: {e}'
    ) from e


def _transformers() -> Any:
  """Imports the library when it is needed: it takes its time."""
  # Without this it complains of the deep learning frameworks that are missing.
  os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')
  import transformers  # noqa: PLC0415

  return transformers
