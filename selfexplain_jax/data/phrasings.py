# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""How questions are worded: a module's own phrasings, or published ones.

Published explainers were trained on the phrasings of their authors' config, a
YAML file (method B.1), and are asked in those. A phrasing there is a text, or a
chat whose user says it; its fields are theirs, and a language's `FIELDS` say
what stands for each.
"""

from collections.abc import Iterator, Sequence
import re
from typing import Any, Protocol

import yaml

from selfexplain_jax import errors
from selfexplain_jax import files

# Where a config keeps them, by the task's name there.
_SECTIONS = {
  'features': 'features_explain',
  'patching': 'act_patch',
  'ablation': 'hint_attribution',
}
_PATH = ('question_types', 'generative_explanation', 'prompts')
_TOKENS = {
  'begin_continuous': 'vector_begin_token',
  'continuous_rep': 'vector_token',
  'end_continuous': 'vector_end_token',
}
_SYSTEM = '{system_prompt}'
# Around a vector these stand for tokens that `{vector}` brings along.
_NEIGHBOURS = ('{begin_continuous}', '{end_continuous}')


class Wording(Protocol):
  """What of a task's language is needed here; see `tasks.task.Language`."""

  NAME: str
  PHRASINGS: tuple[str, ...]
  TEXT_PHRASINGS: tuple[str, ...]
  FIELDS: dict[str, str]


def find(name: str, language: Wording) -> tuple[str, ...]:
  """Returns the phrasings of a question type.

  Args:
    name: `world` or `text` for the language's own, or a YAML file.
    language: of the question type.

  Raises:
    errors.InputError: if it is none of these, or the file has none of this
      type that can be used.
  """
  match name:
    case 'world':
      return language.PHRASINGS
    case 'text':
      return language.TEXT_PHRASINGS
  if not name.endswith(('.yaml', '.yml')):
    raise errors.InputError(
      f"config.phrasings is {name!r}: expected 'world', 'text' or a YAML file"
    )
  return read(name, language)


def has(name: files.PathLike, language: Wording) -> bool:
  """Whether a file of published phrasings words questions of this type."""
  return bool(_prompts(_content(name), _SECTIONS[language.NAME]))


def read_tokens(name: files.PathLike) -> dict[str, str]:
  """Reads which tokens stand around a vector and for it, by their roles.

  Raises:
    errors.InputError: if the file does not say.
  """
  content = _content(name)
  tokens = content.get('continuous_tokens') if isinstance(content, dict) else {}
  found = {}
  for theirs, role in _TOKENS.items():
    token = tokens.get(theirs) if isinstance(tokens, dict) else None
    if not isinstance(token, str):
      raise errors.InputError(
        f'{name} has no continuous_tokens.{theirs}: expected the token that '
        f'is the {role}'
      )
    found[role] = token
  return found


def read(name: files.PathLike, language: Wording) -> tuple[str, ...]:
  """Reads published phrasings; see `find`.

  Raises:
    errors.InputError: as there.
  """
  source, content = files.path(name), _content(name)
  found = _prompts(content, _SECTIONS[language.NAME])
  if not found:
    raise errors.InputError(
      f'{source} has no phrasings: expected a list at '
      f'train.tasks.{_SECTIONS[language.NAME]}.{".".join(_PATH)}'
    )
  return tuple(
    _translated(_said(one, source), language, source) for one in found
  )


def _content(name: files.PathLike) -> Any:
  """Reads the file."""
  source = files.path(name)
  if not source.is_file():
    raise errors.InputError(f'no phrasings: expected a file at {source}')
  try:
    return yaml.safe_load(source.read_text())
  except (yaml.YAMLError, UnicodeDecodeError) as e:
    raise errors.InputError(
      f'{source} is not valid YAML: {" ".join(str(e).split())}'
    ) from e


def _prompts(content: Any, section: str) -> Sequence[Any]:
  """Returns the list of phrasings, empty if there is none."""
  for key in ('train', 'tasks', section, *_PATH):
    content = content.get(key) if isinstance(content, dict) else None
  return content if isinstance(content, list) else ()


def _said(one: Any, source: Any) -> str:
  """Returns what the user says, who says all but the system's prompt."""
  if isinstance(one, str):
    return one
  users = []
  for role, text in _messages(one):
    match role, text:
      case 'user', str():
        users.append(text)
      case ('system', text) if text == _SYSTEM:
        pass
      case 'assistant', '' | None:
        pass
      case _:
        raise errors.InputError(
          f'{source} has a phrasing in which the {role} says {text!r}: '
          f'expected the user alone to speak, after the system as {_SYSTEM}'
        )
  if len(users) != 1:
    raise errors.InputError(
      f'{source} has the phrasing {one!r}: expected a text, or `messages` of '
      "which one is the user's"
    )
  return users[0]


def _messages(one: Any) -> Iterator[tuple[Any, Any]]:
  """Yields role and content of each message of a chat."""
  found = one.get('messages') if isinstance(one, dict) else None
  for message in found if isinstance(found, list) else ():
    if isinstance(message, dict):
      yield message.get('role'), message.get('content')


def _translated(said: str, language: Wording, source: Any) -> str:
  """Returns a phrasing with this project's fields."""
  for neighbour in _NEIGHBOURS:
    said = said.replace(neighbour, '')

  def field(match: re.Match[str]) -> str:
    if match[1] is None:  # A brace that is meant as one.
      return 2 * match[0]
    if match[1] not in language.FIELDS:
      raise errors.InputError(
        f'{source} has a phrasing with the field {match[0]}: expected of '
        f'{language.NAME} {", ".join(language.FIELDS)}'
      )
    return language.FIELDS[match[1]]

  return re.sub(r'\{([A-Za-z_]\w*)\}|[{}]', field, said)
