# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A language model behind an OpenAI-compatible endpoint, asked once at a time.

One request is one POST to URL/chat/completions. The standard library does that
much, proxies and TLS included, so nothing is installed for it. The key is read
from the environment when a request is sent and goes nowhere else: redirections
are refused, since they would take it along, and no message repeats what a
server says about it.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import email.utils
import http.client
import json
import os
import random
import time
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

import ml_collections

from selfexplain_jax import errors

Messages = Sequence[Mapping[str, str]]

# Refusals that pass: too many requests, and faults of the server.
_PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # Seconds, of the backoff.
_SHOWN = 200  # Characters of what a server says that are repeated.


@dataclasses.dataclass(frozen=True)
class Endpoint:
  """Which model answers, where, and how long it is waited for.

  Attributes:
    url: where `/chat/completions` is below.
    model: its name there.
    key_variable: name of the environment variable with the key; if it is not
      set, requests go without one.
    attempts: most requests for one reply.
    timeout: seconds without a byte after which a request has failed.
    deadline: seconds for one reply, all attempts and pauses together.
    sleep: waits so many seconds.
  """

  url: str
  model: str
  key_variable: str
  attempts: int
  timeout: float
  deadline: float
  sleep: Callable[[float], None] = time.sleep

  def reply(self, request: Mapping[str, Any]) -> str:
    """Returns the text that the model replies to a request.

    Args:
      request: the body: `model`, `messages` and settings.

    Raises:
      errors.InputError: if the request is refused, or nobody replies in time
        with a completion.
    """
    end = time.monotonic() + self.deadline
    pause = _FIRST_PAUSE
    for attempt in range(1, self.attempts + 1):
      try:
        return _content(self._post(request, end), self.url)
      except _Passing as e:
        wait = max(e.wait, pause * random.uniform(0.5, 1.5))
        late = time.monotonic() + wait >= end
        if attempt == self.attempts or late:
          within = f'{self.deadline:.0f} s' if late else f'{attempt} attempts'
          raise errors.InputError(
            f'{self.url} gave no reply of {self.model} within {within}: {e}: '
            'expected a chat completion'
          ) from e
        self.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise AssertionError('unreachable: there is at least one attempt')

  def _post(self, request: Mapping[str, Any], end: float) -> bytes:
    """Sends one request and returns the body of the reply."""
    headers = {'Content-Type': 'application/json'}
    key = os.environ.get(self.key_variable, '')
    if key:
      headers['Authorization'] = f'Bearer {key}'
    posted = urllib.request.Request(
      f'{self.url}/chat/completions',
      json.dumps(request).encode(),
      headers,
      method='POST',
    )
    timeout = min(self.timeout, max(end - time.monotonic(), 0.1))
    try:
      with _OPENER.open(posted, timeout=timeout) as response:
        return response.read()
    except urllib.error.HTTPError as e:
      with e:
        raise self._refused(e, key) from None
    except ValueError as e:  # A key with a line break in it, which it repeats.
      raise errors.InputError(
        f'{self.url} cannot be asked: expected ${self.key_variable} to be one '
        'line of ASCII'
      ) from None if key else e
    except (OSError, http.client.HTTPException) as e:
      reason = getattr(e, 'reason', None) or e
      raise _Passing(str(reason) or type(reason).__name__) from e

  def _refused(self, e: urllib.error.HTTPError, key: str) -> Exception:
    """Returns what a refusal is raised as."""
    if e.code in (401, 403):
      held = 'was refused' if key else 'is not set'
      return errors.InputError(
        f'{self.url} refused access ({e.code}): the key in '
        f'${self.key_variable} {held}: expected one for {self.model}'
      )
    said = _said(e)
    if key:
      said = said.replace(key, '…')
    if e.code in _PASSING:
      return _Passing(f'{e.code} {said}', _wait(e.headers.get('Retry-After')))
    if e.code == 404:
      return errors.InputError(
        f'{self.url} knows no model {self.model!r}, or no chat/completions '
        f'(404 {said}): expected the base URL of an OpenAI-compatible server, '
        'such as http://localhost:8000/v1, and a model that it serves'
      )
    return errors.InputError(
      f'{self.url} refused a request to {self.model} ({e.code} {said}): '
      'expected a server that takes chat completions'
    )


class _Passing(Exception):
  """What may go otherwise at another time.

  Attributes:
    wait: seconds that the server wants to be left alone.
  """

  def __init__(self, message: str, wait: float = 0.0):
    super().__init__(message)
    self.wait = wait


class _NoRedirection(urllib.request.HTTPRedirectHandler):
  """Leaves redirections as the errors that they are here."""

  def redirect_request(self, *args: Any) -> None:
    return None


_OPENER = urllib.request.build_opener(_NoRedirection)


def make(config: ml_collections.ConfigDict, name: str) -> Endpoint:
  """Returns the endpoint of a config.

  Args:
    config: `url`, `model`, `key_variable`, `attempts`, `timeout`, `deadline`.
    name: of the config, for errors, such as `config.judge`.

  Raises:
    errors.InputError: naming the field that makes no sense.
  """
  if not _is_base(config.url):
    # A key that was put into it is not to be shown.
    raise errors.InputError(
      f'{name}.url is not the URL of a server: expected http://HOST/PATH or '
      'https://HOST/PATH, without a key or name in it'
    )
  for field, what in (
    ('model', 'the name of a model that the server has'),
    ('key_variable', 'the name of an environment variable'),
  ):
    if not config[field]:
      raise errors.InputError(f'{name}.{field} is empty: expected {what}')
  for field in ('attempts', 'timeout', 'deadline'):
    if not config[field] > 0:
      raise errors.InputError(
        f'{name}.{field} is {config[field]}: expected a number above 0'
      )
  return Endpoint(
    config.url.rstrip('/'),
    config.model,
    config.key_variable,
    config.attempts,
    config.timeout,
    config.deadline,
  )


def _is_base(url: str) -> bool:
  """Whether a URL is that of a server and a path, and nothing else."""
  try:
    parts = urllib.parse.urlsplit(url)
    rest = (parts.username, parts.password, parts.query, parts.fragment)
    found = parts.scheme in ('http', 'https') and bool(parts.hostname)
    return found and parts.port != 0 and not any(rest) and url.split() == [url]
  except ValueError:  # A port that is no number.
    return False


def _content(body: bytes, url: str) -> str:
  """Returns the text of a completion; none at all is no text."""
  try:
    found = json.loads(body)
  except ValueError as e:  # Cut off on its way.
    raise _Passing('its reply is not JSON') from e
  try:
    content = found['choices'][0]['message']['content']
  except (LookupError, TypeError):
    content = found
  if content is not None and not isinstance(content, str):
    raise errors.InputError(
      f'{url} replied with something else than a chat completion: expected '
      'JSON with choices[0].message.content'
    )
  return content or ''


def _said(e: urllib.error.HTTPError) -> str:
  """Returns the beginning of what a server says about a refusal, as a line."""
  try:
    body = e.read().decode(errors='replace')
  except (OSError, http.client.HTTPException):
    body = ''
  try:
    body = json.loads(body)['error']['message']
  except (ValueError, LookupError, TypeError):
    pass
  return ' '.join(str(body).split())[:_SHOWN] or e.reason


def _wait(retry_after: str | None) -> float:
  """Returns the seconds of a Retry-After header: a number or a date."""
  if not retry_after:
    return 0.0
  try:
    return max(float(retry_after), 0.0)
  except ValueError:
    pass
  try:
    at = email.utils.parsedate_to_datetime(retry_after)
  except ValueError:
    return 0.0
  return max(at.timestamp() - time.time(), 0.0)
