# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Records of text files: which text one holds, and what is wrong with it."""

from collections.abc import Iterator
import contextlib
import json
from typing import Any

import pyarrow as pa

from selfexplain_jax import errors
from selfexplain_jax import files


def where(name: files.PathLike, index: int) -> str:
  """Returns how errors name a record."""
  return f'{name}: record {index}, counted from 0,'


def parse(content: bytes, field: str, place: str) -> str:
  """Returns the text of a record.

  Args:
    content: UTF-8: JSON, an object, if `field` is set; the text itself if not.
    field: of the object, that holds the text.
    place: how errors name the record.

  Raises:
    errors.InputError: if there is no text, or an empty one.
  """
  try:
    found: Any = content.decode('utf-8')
    if field:
      found = json.loads(found)
  except UnicodeDecodeError as e:
    raise errors.InputError(
      f'{place} is not text at byte {e.start}: expected UTF-8'
    ) from e
  except (ValueError, RecursionError) as e:
    raise errors.InputError(
      f'{place} is not JSON, {e}: expected an object with {field!r}'
    ) from e
  if field:
    if not isinstance(found, dict) or field not in found:
      kind = type(found).__name__
      names = ', '.join(found) if isinstance(found, dict) else kind
      raise errors.InputError(
        f'{place} has no field {field!r}: expected an object with it, not '
        f'{names or "an empty one"}'
      )
    found = found[field]
  return check(found, place)


def check(text: Any, place: str) -> str:
  """Returns a text, if it is one; see `parse`."""
  if not isinstance(text, str):
    raise errors.InputError(
      f'{place} holds {type(text).__name__}: expected a text'
    )
  if not text:
    raise errors.InputError(f'{place} is empty: expected a text')
  try:
    text.encode('utf-8')
  except UnicodeEncodeError as e:
    raise errors.InputError(
      f'{place} has half of a character at {e.start}: expected whole surrogate '
      'pairs'
    ) from e
  return text


@contextlib.contextmanager
def damage(what: str, expected: str) -> Iterator[None]:
  """Turns what libraries raise for damaged files into errors of one line."""
  try:
    yield
  except errors.InputError:
    raise
  except (
    *(OSError, EOFError, RuntimeError, ValueError),
    pa.ArrowException,
  ) as e:
    said = str(e).strip().splitlines()
    reason = f', {said[0]}' if said else ''
    raise errors.InputError(f'{what}{reason}: expected {expected}') from e
