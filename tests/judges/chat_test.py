# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of many questions at once, and of replies that are kept."""

import json
import os
import pathlib
import threading
from unittest import mock

from absl.testing import absltest

from selfexplain_jax import errors
from selfexplain_jax.distributed import preemption
from selfexplain_jax.judges import chat as chat_lib
from tests.judges import stub


def _says(*texts):
  return [[{'role': 'user', 'content': text}] for text in texts]


def _echo(request):
  return f'you said {request["messages"][-1]["content"]}'


class ChatTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.cache = self.create_tempdir().full_path

  def make(self, url, **changes):
    return chat_lib.make(
      stub.config(url, self.cache, **changes), 'config.judge'
    )

  def files(self):
    return sorted(p for p in pathlib.Path(self.cache).rglob('*') if p.is_file())

  def test_replies_are_in_order_and_equal_questions_are_asked_once(self):
    with stub.serving(_echo) as server:
      texts = [str(i % 7) for i in range(30)]
      found = self.make(server.url).ask(_says(*texts), max_tokens=3)
      self.assertEqual(found, [f'you said {text}' for text in texts])
      self.assertLen(server.requests, 7)
      for asked in server.asked:
        self.assertEqual(
          (asked['model'], asked['max_tokens'], asked['temperature']),
          ('stub-1', 3, 0),
        )
        self.assertNotIn('seed', asked)
      self.assertEmpty(self.make(server.url).ask([], max_tokens=3))

  def test_what_was_asked_before_is_not_asked_again(self):
    with stub.serving(_echo) as server:
      self.make(server.url).ask(_says('a', 'b'), max_tokens=3)
    kept = {p: p.read_bytes() for p in self.files()}
    self.assertLen(kept, 2)
    # Nobody is there any more, and another port would be as good.
    again = self.make('http://127.0.0.1:9').ask(_says('b', 'a'), max_tokens=3)
    self.assertEqual(again, ['you said b', 'you said a'])
    self.assertEqual({p: p.read_bytes() for p in self.files()}, kept)

  def test_every_part_of_a_request_counts(self):
    with stub.serving(_echo) as server:
      for model, settings in (
        ('one', dict(max_tokens=3)),
        ('two', dict(max_tokens=3)),
        ('one', dict(max_tokens=4)),
        ('one', dict(max_tokens=3, temperature=0.5)),
        ('one', dict(max_tokens=3, temperature=0.5, seed=0)),
        ('one', dict(max_tokens=3, temperature=0.5, seed=1)),
      ):
        self.make(server.url, model=model).ask(_says('a'), **settings)
      self.assertLen(server.requests, 6)

  def test_no_key_is_kept(self):
    with mock.patch.dict(os.environ, {'STUB_KEY': 'sk-very-secret'}):
      with stub.serving(_echo) as server:
        self.make(server.url).ask(_says('a'), max_tokens=3)
        self.assertIn('sk-very-secret', str(server.requests[0][1]))
    (kept,) = self.files()
    self.assertNotIn('secret', kept.read_text())
    self.assertNotIn('127.0.0.1', kept.read_text())
    self.assertEqual(json.loads(kept.read_text())['reply'], 'you said a')

  def test_no_more_requests_at_a_time_than_allowed(self):
    lock, now, most = threading.Lock(), [0], [0]
    together = threading.Barrier(3)

    def answer(request):
      with lock:
        now[0] += 1
        most[0] = max(most[0], now[0])
      together.wait(10)  # Three come together, and never a fourth.
      with lock:
        now[0] -= 1
      return 'well'

    with stub.serving(answer) as server:
      chat = self.make(server.url, concurrency=3)
      chat.ask(_says(*'abcdef'), max_tokens=3)
    self.assertEqual(most, [3])

  def test_what_was_replied_before_an_error_is_kept(self):
    def answer(request):
      said = request['messages'][-1]['content']
      return stub.respond(401) if said == 'd' else 'well'

    with stub.serving(answer) as server:
      chat = self.make(server.url, concurrency=1)
      with self.assertRaisesRegex(errors.InputError, '401'):
        chat.ask(_says(*'abcdefgh'), max_tokens=3)
      self.assertLess(len(server.requests), 7)
      self.assertGreaterEqual(len(self.files()), 3)

  def test_leaves_when_asked_to_and_goes_on(self):
    self.addCleanup(setattr, preemption, '_asked', False)

    def answer(request):
      preemption.ask()
      return 'well'

    with stub.serving(answer) as server:
      chat = self.make(server.url, concurrency=1)
      with self.assertRaises(preemption.Preempted):
        chat.ask(_says(*'abcdef'), max_tokens=3)
      before = len(server.requests)
      self.assertLess(before, 6)
      preemption._asked = False
      server.answer = lambda request: 'well'
      chat.ask(_says(*'abcdef'), max_tokens=3)
      self.assertLen(server.requests, 6)

  def test_two_at_once_share_a_folder(self):
    with stub.serving(_echo) as server:
      found = [None, None]

      def work(i):
        chat = self.make(server.url)
        found[i] = chat.ask(_says(*'abcdefgh'), max_tokens=3)

      threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
      for thread in threads:
        thread.start()
      for thread in threads:
        thread.join()
    self.assertEqual(found[0], [f'you said {c}' for c in 'abcdefgh'])
    self.assertEqual(found[0], found[1])
    self.assertLen(self.files(), 8)

  def test_damaged_replies_are_named(self):
    with stub.serving(_echo) as server:
      self.make(server.url).ask(_says('a'), max_tokens=3)
    (kept,) = self.files()
    for content in (kept.read_text()[:20], '{"reply": 3}', '[]'):
      kept.write_text(content)
      with self.assertRaisesRegex(errors.InputError, kept.name):
        self.make('http://127.0.0.1:9').ask(_says('a'), max_tokens=3)

  def test_how_a_model_is_reached_is_no_part_of_a_config(self):
    config = {'seed': 1, 'mesh': {'url': 2}, 'judge': stub.config('u', 'c')}
    config['judge'] = config['judge'].to_dict()
    self.assertEqual(
      chat_lib.without_means(config),
      {
        'seed': 1,
        'mesh': {'url': 2},
        'judge': {'kind': 'endpoint', 'model': 'stub-1'},
      },
    )

  def test_bad_configs(self):
    for changes in (dict(concurrency=0), dict(cache='')):
      config = stub.config('http://host/v1', 'cache')
      config.update(changes)
      with self.assertRaisesRegex(
        errors.InputError, 'expected (at le|a folder)'
      ):
        chat_lib.make(config, 'config.judge')


if __name__ == '__main__':
  absltest.main()
