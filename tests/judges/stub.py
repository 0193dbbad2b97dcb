# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""A chat server in a thread, which does what a test tells it to."""

from collections.abc import Callable, Iterator
import contextlib
from http import server
import json
import threading
from typing import Any

import ml_collections

from experiments import endpoint

# What is answered to a request: a text, or what is done to the connection.
Answer = str | Callable[['Handler'], None]


def respond(
  code: int, body: str | bytes = '', **headers: str
) -> Callable[['Handler'], None]:
  """Returns an answer with a status, a body and headers (`_` for `-`)."""

  def answer(handler: 'Handler') -> None:
    content = body.encode() if isinstance(body, str) else body
    handler.send_response(code)
    for name, value in headers.items():
      handler.send_header(name.replace('_', '-'), value)
    handler.send_header('Content-Length', str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)

  return answer


def completion(text: str | None) -> Callable[['Handler'], None]:
  """Returns the answer that is a chat completion with a text."""
  message = {'role': 'assistant', 'content': text}
  return respond(200, json.dumps({'choices': [{'message': message}]}))


class Handler(server.BaseHTTPRequestHandler):
  """Notes requests, and answers as the server's `answer` says."""

  server: 'Stub'

  def do_POST(self) -> None:
    body = self.rfile.read(int(self.headers['Content-Length']))
    with self.server.lock:
      self.server.requests.append((self.path, dict(self.headers), body))
    answer = self.server.answer(json.loads(body))
    if isinstance(answer, str):
      answer = completion(answer)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
      answer(self)

  def log_message(self, *args: Any) -> None:
    pass


class Stub(server.ThreadingHTTPServer):
  """The server.

  Attributes:
    answer: maps the body of a request to its answer.
    requests: path, headers and body of each, so far.
  """

  daemon_threads = True

  def __init__(self, answer: Callable[[dict[str, Any]], Answer]):
    super().__init__(('127.0.0.1', 0), Handler)
    self.answer = answer
    self.requests: list[tuple[str, dict[str, str], bytes]] = []
    self.lock = threading.Lock()

  @property
  def url(self) -> str:
    return f'http://127.0.0.1:{self.server_address[1]}/v1'

  @property
  def asked(self) -> list[dict[str, Any]]:
    """The bodies of the requests."""
    return [json.loads(body) for _, _, body in self.requests]


@contextlib.contextmanager
def serving(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[Stub]:
  """Runs a server for as long as the context."""
  stub = Stub(answer)
  thread = threading.Thread(target=stub.serve_forever, args=(0.01,))
  thread.start()
  try:
    yield stub
  finally:
    stub.shutdown()
    thread.join()
    stub.server_close()


def in_turn(*answers: Answer) -> Callable[[dict[str, Any]], Answer]:
  """Gives one answer after the other, the last one for ever."""
  left = list(answers)
  return lambda request: left.pop(0) if len(left) > 1 else left[0]


def config(url: str, cache: str, **changes: Any) -> ml_collections.ConfigDict:
  """The config of a judge behind a server; no key is set unless a test does."""
  made = ml_collections.ConfigDict(
    {'kind': 'endpoint', **endpoint.get_config()}
  )
  made.update(url=url, cache=cache, model='stub-1', key_variable='STUB_KEY')
  made.update(changes)
  return made
