# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""The local page of the smallest quickstart, served for tests."""

import asyncio
import functools
import http.client
import json
import socket
import threading
from typing import Any

import uvicorn

from selfexplain_jax.distributed import mesh as mesh_lib
from selfexplain_jax.interview import interview as interview_lib
from selfexplain_jax.interview import places
from selfexplain_jax.serving import app
from selfexplain_jax.serving import claims
from tests.launch import whole


@functools.cache
def port() -> int:
  """Serves the page in a thread, and returns its port on 127.0.0.1."""
  run_, _ = whole.run()
  opened = interview_lib.open_interview(
    places.find(str(run_)), mesh_lib.make_mesh()
  )
  page = app.Page(opened, claims.find(str(run_)), most_tokens=64)
  listening = socket.create_server(('127.0.0.1', 0))
  made = uvicorn.Server(
    uvicorn.Config(
      app.make(page, ('127.0.0.1', 'localhost')),
      log_level='warning',
      ws='none',
    )
  )
  threading.Thread(
    target=lambda: asyncio.run(made.serve([listening])), daemon=True
  ).start()
  return listening.getsockname()[1]


def request(
  method: str, path: str, body: bytes = b'', **headers: str
) -> tuple[int, dict[str, str], bytes]:
  """Returns status, headers and body of an answer."""
  connection = http.client.HTTPConnection('127.0.0.1', port(), timeout=120)
  named = {name.replace('_', '-'): value for name, value in headers.items()}
  connection.request(method, path, body, named)
  answer = connection.getresponse()
  found = answer.status, dict(answer.getheaders()), answer.read()
  connection.close()
  return found


def post(path: str, **fields: Any) -> tuple[int, Any]:
  """Posts fields as JSON; returns the status and the JSON of the answer."""
  status, _, body = request(
    'POST',
    path,
    json.dumps(fields).encode(),
    Content_Type='application/json',
  )
  return status, json.loads(body)
