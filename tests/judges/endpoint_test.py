# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of asking an endpoint that fails in every way."""

import dataclasses
import email.utils
import os
import socket
import threading
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from selfexplain_jax import errors
from selfexplain_jax.judges import endpoint
from tests.judges import stub

_REQUEST = {'model': 'stub-1', 'messages': [{'role': 'user', 'content': 'hi'}]}
_KEY = 'sk-very-secret'


class EndpointTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.slept = []
    self.enter_context(mock.patch.dict(os.environ, {'STUB_KEY': _KEY}))

  def ask(self, answer, **changes):
    """Asks a server once; returns the reply, or the error, and the server."""
    with stub.serving(answer) as server:
      asked = self.make(server.url, **changes)
      try:
        return asked.reply(_REQUEST), server
      except errors.InputError as e:
        # Whatever went wrong, the key is not told.
        self.assertNotIn(_KEY, str(e))
        self.assertNotIn('\n', str(e))
        return e, server

  def make(self, url, **changes):
    config = stub.config(url, 'unused', **changes)
    return dataclasses.replace(
      endpoint.make(config, 'config.judge'), sleep=self.slept.append
    )

  def test_asks_for_a_completion(self):
    found, server = self.ask(stub.in_turn('well'))
    self.assertEqual(found, 'well')
    ((path, headers, _),) = server.requests
    self.assertEqual(path, '/v1/chat/completions')
    self.assertEqual(headers['Authorization'], f'Bearer {_KEY}')
    self.assertEqual(server.asked, [_REQUEST])

  def test_without_a_key_none_is_sent(self):
    del os.environ['STUB_KEY']
    _, server = self.ask(stub.in_turn('well'))
    self.assertNotIn('Authorization', server.requests[0][1])

  def test_no_text_is_no_text(self):
    self.assertEqual(self.ask(stub.in_turn(stub.completion(None)))[0], '')

  @parameterized.parameters(
    (stub.respond(429, 'slow down'),),
    (stub.respond(500, '<html>\noops</html>'),),
    (stub.respond(503),),
    (stub.respond(200, '{"choices": [{"mess'),),  # Cut off.
    (lambda handler: None,),  # Hangs up.
    (lambda handler: handler.wfile.write(b'not HTTP\r\n\r\n'),),
  )
  def test_what_passes_is_tried_again(self, failure):
    found, server = self.ask(stub.in_turn(failure, failure, 'well'))
    self.assertEqual(found, 'well')
    self.assertLen(server.requests, 3)
    # Half a second, then a second, with jitter.
    first, second = self.slept
    self.assertBetween(first, 0.25, 0.75)
    self.assertBetween(second, 0.5, 1.5)

  def test_a_server_that_hangs_is_given_up_after_the_timeout(self):
    awake = threading.Event()
    self.addCleanup(awake.set)
    hang = lambda handler: awake.wait(20)  # noqa: E731
    began = time.monotonic()
    found, server = self.ask(stub.in_turn(hang, 'well'), timeout=0.2)
    self.assertEqual(found, 'well')
    self.assertLen(server.requests, 2)
    self.assertLess(time.monotonic() - began, 10)

  @parameterized.parameters(('7', 7), ('0.125', 0.25), ('nonsense', 0.25))
  def test_the_server_says_how_long_to_wait(self, header, least):
    busy = stub.respond(429, Retry_After=header)
    self.ask(stub.in_turn(busy, 'well'))
    (slept,) = self.slept
    self.assertBetween(slept, least, max(least, 0.75))

  def test_the_server_says_when_to_come_again(self):
    then = email.utils.formatdate(time.time() + 10_000, usegmt=True)
    busy = stub.respond(429, Retry_After=then)
    self.ask(stub.in_turn(busy, 'well'), deadline=20_000)
    (slept,) = self.slept
    self.assertBetween(slept, 9_000, 10_000)

  def test_gives_up_after_the_last_attempt(self):
    found, server = self.ask(
      stub.in_turn(stub.respond(500, f'no {_KEY} here')), attempts=3
    )
    self.assertLen(server.requests, 3)
    self.assertRegex(
      str(found), 'no reply of stub-1 within 3 attempts: 500 no … here: expect'
    )

  def test_does_not_wait_beyond_the_deadline(self):
    busy = stub.respond(429, Retry_After='3600')
    found, server = self.ask(stub.in_turn(busy), deadline=30)
    self.assertLen(server.requests, 1)
    self.assertEmpty(self.slept)
    self.assertRegex(str(found), 'no reply of stub-1 within 30 s: 429')

  @parameterized.parameters(
    (
      stub.respond(401, f'{{"error": {{"message": "bad {_KEY[:6]}"}}}}'),
      r'refused access \(401\): the key in \$STUB_KEY was refused',
    ),
    (stub.respond(403), 'refused access .403.'),
    (
      stub.respond(404, '{"error": {"message": "no\\nsuch"}}'),
      r"knows no model 'stub-1', or no chat/completions \(404 no such\)",
    ),
    (stub.respond(400, 'x' * 999), r'refused a request .*\(400 x{200}\)'),
    (stub.respond(302, Location='http://127.0.0.1:9/'), r'refused .*\(302'),
    (stub.respond(200, '[]'), 'something else than a chat completion'),
    (stub.respond(200, '{"choices": []}'), 'something else than a chat'),
    (stub.respond(200, '{"choices": [{"message": 3}]}'), 'something else'),
    (
      stub.respond(200, '{"choices": [{"message": {"content": ["a"]}}]}'),
      'something else than a chat',
    ),
  )
  def test_what_will_not_pass_is_not_tried_again(self, answer, message):
    found, server = self.ask(stub.in_turn(answer))
    self.assertLen(server.requests, 1)
    self.assertEmpty(self.slept)
    self.assertIsInstance(found, errors.InputError)
    self.assertRegex(str(found), message)
    # Not even what the server repeats of it.
    self.assertNotIn(_KEY[:6], str(found))

  def test_a_missing_key_is_named(self):
    del os.environ['STUB_KEY']
    found, _ = self.ask(stub.in_turn(stub.respond(401)))
    self.assertRegex(str(found), r'the key in \$STUB_KEY is not set')

  def test_a_key_of_two_lines(self):
    os.environ['STUB_KEY'] = f'{_KEY}\nmore'
    found, server = self.ask(stub.in_turn('well'))
    self.assertEmpty(server.requests)
    self.assertRegex(str(found), r'expected \$STUB_KEY to be one line')

  def test_nobody_there(self):
    with socket.socket() as taken:  # Bound, and not listening.
      taken.bind(('127.0.0.1', 0))
      asked = self.make(
        f'http://127.0.0.1:{taken.getsockname()[1]}', attempts=2
      )
      with self.assertRaisesRegex(errors.InputError, '2 attempts: .*refused'):
        asked.reply(_REQUEST)
    self.assertLen(self.slept, 1)

  @parameterized.parameters(
    ({'url': 'localhost:8000'}, r'judge\.url is not the URL'),
    ({'url': 'http://host:port/v1'}, r'judge\.url is not the URL'),
    ({'url': 'http://a b/v1'}, r'judge\.url is not the URL'),
    ({'url': f'https://me:{_KEY}@host/v1'}, r'judge\.url is not the URL'),
    ({'url': f'https://host/v1?key={_KEY}'}, r'judge\.url is not the URL'),
    (dict(model=''), r'judge\.model is empty'),
    (dict(key_variable=''), r'judge\.key_variable is empty'),
    (dict(attempts=0), r'judge\.attempts is 0'),
    (dict(timeout=0.0), r'judge\.timeout is 0'),
    (dict(deadline=-1.0), r'judge\.deadline is -1'),
  )
  def test_bad_configs(self, changes, message):
    config = stub.config('http://host/v1', 'unused')
    config.update(changes)
    with self.assertRaisesRegex(errors.InputError, message) as caught:
      endpoint.make(config, 'config.judge')
    self.assertNotIn(_KEY, str(caught.exception))


if __name__ == '__main__':
  absltest.main()
