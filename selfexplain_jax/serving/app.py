# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The local page: an ASGI application over one interview.

What is asked comes as JSON and is answered as JSON; what is not understood is
answered with status 400 and a sentence, and what comes when too much waits with
503. Nothing is fetched from elsewhere, and pages of other sites can ask
nothing: bodies have to be JSON, and the host the one that is served.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
import dataclasses
import importlib.resources
import json
from typing import Any

from absl import logging
from starlette import applications
from starlette import middleware
from starlette import requests
from starlette import responses
from starlette import routing
from starlette.middleware import trustedhost

from selfexplain_jax import errors
from selfexplain_jax.interview import active
from selfexplain_jax.interview import examples
from selfexplain_jax.interview import heat_map
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import request as request_lib
from selfexplain_jax.serving import claims
from selfexplain_jax.serving import turns

# Bytes of a request; texts are short.
_LARGEST = 1 << 16
_LONGEST = 500  # Letters of a filter.
# Requests that are under way or wait.
_WAITING = 256

_HEADERS = {
  'Content-Security-Policy': (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
  ),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
}
_TYPES = {
  'page.html': 'text/html',
  'page.css': 'text/css',
  'page.js': 'text/javascript',
}

Endpoint = Callable[[requests.Request], Awaitable[responses.Response]]
Answer = Callable[[Mapping[str, Any]], Any]


class Page:
  """What the page can ask.

  Attributes:
    interview: who is asked.
    evaluations: by name, those whose claims can be looked through.
    most_tokens: of a text.
  """

  def __init__(
    self,
    interview: interview_lib.Interview,
    evaluations: Mapping[str, claims.Evaluation],
    most_tokens: int,
  ):
    self.interview, self.evaluations = interview, evaluations
    self.most_tokens = min(most_tokens, interview.target.config.max_positions)

  def about(self, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to ask about."""
    del asked
    dictionary = self.interview.dictionary
    return {
      'target': self.interview.target.directory,
      'layers': self.interview.target.config.layers,
      'most_tokens': self.most_tokens,
      'questions': {t: list(p) for t, p in self.interview.phrasings.items()},
      'dictionary_layers': [] if dictionary is None else dictionary.layers,
      'evaluations': {
        name: {'task': e.figures['task'], 'arms': e.arms}
        for name, e in self.evaluations.items()
      },
    }

  def people(self, asked: Mapping[str, Any]) -> list[str]:
    """People of the target's world."""
    del asked
    return examples.people(self.interview)

  def examples(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Questions that can be asked."""
    del asked
    return examples.questions(self.interview)

  def tokens(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tokens of `prompt`, or of `prompt_ids`."""
    tokenizer = self.interview.target.tokenizer
    return [
      {'id': i, 'text': tokenizer.text(i)} for i in self._ids(asked, 'prompt')
    ]

  def ask(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Findings of a question, with the fields of `interview.request`."""
    made = _request(asked)
    self._ids(asked, 'prompt')
    self._ids(asked, 'source', True)
    instead = self.interview.target.tokenizer.encode(made.replacement or '')
    if len(instead) > self.most_tokens:
      raise errors.InputError(
        f'the replacement has {len(instead)} tokens: expected at most '
        f'{self.most_tokens}'
      )
    return [f.to_json() for f in made.findings(self.interview)]

  def map(self, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Where patching `prompt` with what `source` has changes the output."""
    _require(asked, 'prompt', 'prompt_ids', 'source', 'source_ids')
    texts = (self._ids(asked, name) for name in ('prompt', 'source'))
    return heat_map.make(self.interview, *texts).to_json()

  def active(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Features of `layer` that are active on `prompt`."""
    _require(asked, 'prompt', 'prompt_ids', 'layer')
    layer = asked.get('layer')
    if not isinstance(layer, int) or isinstance(layer, bool):
      raise errors.InputError(f'layer is {layer!r}: expected a number')
    found = active.find(self.interview, self._ids(asked, 'prompt'), layer)
    return [one.to_json() for one in found]

  def claims(self, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Claims of an `evaluation`: see `claims.Evaluation.page`."""
    _require(asked, 'evaluation', 'arm', 'right', 'words', 'number')
    name, number = str(asked.get('evaluation')), asked.get('number', 0)
    if name not in self.evaluations:
      raise errors.InputError(
        f'no evaluation {name!r}: expected one of '
        f'{", ".join(self.evaluations) or "those of --evaluations"}'
      )
    if not isinstance(number, int) or isinstance(number, bool):
      raise errors.InputError(f'number is {number!r}: expected one of a page')
    texts = {n: asked.get(n, '') for n in ('arm', 'right', 'words')}
    for field, value in texts.items():
      if not isinstance(value, str) or len(value) > _LONGEST:
        raise errors.InputError(
          f'{field}: expected a text of at most {_LONGEST} letters'
        )
    return self.evaluations[name].page(**texts, number=number)

  def _ids(
    self, asked: Mapping[str, Any], name: str, optional: bool = False
  ) -> tuple[int, ...]:
    """The tokens of a text that came as text or as ids.

    Raises:
      errors.InputError: if it came as neither or both, or is too long.
    """
    made = _request({k: v for k, v in asked.items() if k.startswith(name)})
    text, ids = getattr(made, name), getattr(made, f'{name}_ids')
    if (text is None) == (ids is None):
      if optional and text is None:
        return ()
      raise errors.InputError(f'expected either {name} or {name}_ids')
    if ids is None:
      ids = tuple(self.interview.target.tokenizer.encode_prompt(text))
    if len(ids) > self.most_tokens:
      raise errors.InputError(
        f'the text has {len(ids)} tokens: expected at most {self.most_tokens}'
      )
    if not ids:
      raise errors.InputError(f'{name} is empty: expected some text')
    self.interview.require_text(ids)
    return ids


def make(page: Page, hosts: Sequence[str]) -> applications.Starlette:
  """Returns the application.

  Args:
    page: what it answers with.
    hosts: names that it is served under; requests to others are refused.
  """
  turn = turns.Turns(_WAITING)
  answers: dict[str, Answer] = {
    name: getattr(page, name)
    for name in (
      *('about', 'people', 'examples', 'tokens', 'ask'),
      *('map', 'active', 'claims'),
    )
  }
  return applications.Starlette(
    routes=[
      routing.Route('/', _file('page.html')),
      routing.Route('/page.css', _file('page.css')),
      routing.Route('/page.js', _file('page.js')),
      *(
        routing.Route(f'/{name}', _endpoint(one, turn), methods=['POST'])
        for name, one in answers.items()
      ),
    ],
    middleware=[
      middleware.Middleware(
        trustedhost.TrustedHostMiddleware, allowed_hosts=list(hosts)
      )
    ],
  )


def _endpoint(answer: Answer, turn: turns.Turns) -> Endpoint:
  """Returns what answers JSON with JSON."""

  async def respond(request: requests.Request) -> responses.Response:
    try:
      asked = await _read(request)
      found = await turn.take(lambda: answer(asked))
      return _json(found, 200)
    except errors.InputError as e:
      return _json({'error': ' '.join(str(e).split())}, 400)
    except requests.ClientDisconnect:
      return _json({'error': 'the request did not come to its end'}, 400)
    except turns.BusyError:
      return _json(
        {'error': 'too many questions wait: ask again in a moment'}, 503
      )
    except Exception:
      logging.exception('A fault while answering %s', request.url.path)
      return _json(
        {'error': 'a fault of the program, which its log tells more of'}, 500
      )

  return respond


async def _read(request: requests.Request) -> Mapping[str, Any]:
  """Reads the body of a request.

  Raises:
    errors.InputError: if it is no JSON object, or too large.
  """
  kind = request.headers.get('content-type', '').partition(';')[0].strip()
  if kind != 'application/json':
    raise errors.InputError(
      f'the content type is {kind!r}: expected application/json'
    )
  body = bytearray()
  async for piece in request.stream():
    body += piece
    if len(body) > _LARGEST:
      raise errors.InputError(f'a request takes at most {_LARGEST} bytes')
  try:
    asked = json.loads(bytes(body) or b'{}')
    # A half of a character that takes two is no text.
    json.dumps(asked, ensure_ascii=False).encode()
  except (ValueError, RecursionError) as e:
    raise errors.InputError(f'the request is not JSON: {e}') from e
  if not isinstance(asked, dict):
    raise errors.InputError('the request is not an object: expected fields')
  return asked


def _request(asked: Mapping[str, Any]) -> request_lib.Request:
  """Reads the fields of a question.

  Raises:
    errors.InputError: naming one that there is not, or of another kind.
  """
  fields = {
    field.name: field for field in dataclasses.fields(request_lib.Request)
  }
  _require(asked, *fields)
  values = {}
  for name, value in asked.items():
    if name.endswith('_ids') and value is not None:
      if not isinstance(value, list) or any(type(v) is not int for v in value):
        raise errors.InputError(f'{name}: expected a list of numbers')
      value = tuple(value)
    elif name == 'feature':
      if value is not None and type(value) is not int:
        raise errors.InputError(f'feature is {value!r}: expected a number')
    elif name == 'sweep':
      if type(value) is not bool:
        raise errors.InputError(f'sweep is {value!r}: expected true or false')
    elif type(value) is int:
      value = str(value)
    elif value is not None and not isinstance(value, str):
      raise errors.InputError(f'{name} is {value!r}: expected text')
    values[name] = value
  return request_lib.Request(**values)


def _require(asked: Mapping[str, Any], *names: str) -> None:
  """Raises `errors.InputError` if there is any other field."""
  for name in asked:
    if name not in names:
      raise errors.InputError(
        f'unknown field {name!r}: expected {", ".join(names)}'
      )


def _file(name: str) -> Endpoint:
  """Returns what answers with a file of this package."""
  content = (
    importlib.resources.files('selfexplain_jax.serving') / 'static' / name
  ).read_bytes()

  async def respond(request: requests.Request) -> responses.Response:
    del request
    return responses.Response(
      content, headers=_HEADERS, media_type=f'{_TYPES[name]}; charset=utf-8'
    )

  return respond


def _json(content: Any, status: int) -> responses.Response:
  return responses.JSONResponse(content, status, headers=_HEADERS)
