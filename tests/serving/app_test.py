# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of what the local page is answered with."""

from concurrent import futures
import json
import pathlib
import re

from absl.testing import absltest
from absl.testing import parameterized

from tests.launch import whole
from tests.serving import served


class AppTest(parameterized.TestCase):
  def test_files_need_nothing_from_elsewhere(self):
    for name in ('', 'page.css', 'page.js'):
      status, headers, body = served.request('GET', f'/{name}')
      self.assertEqual(status, 200)
      self.assertIn("default-src 'none'", headers['content-security-policy'])
      self.assertIsNone(re.search(rb'https?://|innerHTML|\seval\(', body))

  def test_about(self):
    status, about = served.post('/about')
    self.assertEqual(status, 200)
    self.assertEqual(about['layers'], 2)
    self.assertSameElements(about['questions'], whole.TASKS)
    self.assertEqual(about['dictionary_layers'], [0, 1])
    self.assertSameElements(
      about['evaluations'], [f'{task}_evaluation' for task in whole.TASKS]
    )

  def test_tokens_and_all_question_types(self):
    _, tokens = served.post('/tokens', prompt='anna keller')
    self.assertEqual([t['text'] for t in tokens][1:], ['anna', 'keller'])
    ids = [t['id'] for t in tokens]
    for task, more in (
      ('features', {'layer': 1}),
      ('patching', {'layer': '0-1', 'source': 'felix keller'}),
      ('ablation', {}),
    ):
      for text in ({'prompt': 'anna keller'}, {'prompt_ids': ids}):
        status, found = served.post(
          '/ask', question=task, position=2, **text, **more
        )
        self.assertEqual(status, 200, found)
        self.assertEqual((found[0]['task'], found[0]['ids']), (task, ids))
        self.assertEqual(found[0]['control'] is None, task == 'ablation')
    _, found = served.post(
      '/ask', question='features', position=2, prompt='anna keller', sweep=True
    )
    self.assertEqual([f['layers'] for f in found], [[0, 0], [1, 1]])

  def test_a_map_of_a_text_with_itself_changes_nothing(self):
    own, other = 'anna keller speaks fluent', 'felix farkas speaks fluent'
    _, found = served.post('/map', prompt=own, source=own)
    self.assertEqual(found['changed'], [[False] * 5] * 2)
    for row in found['margin']:
      for margin in row:
        self.assertAlmostEqual(margin, found['clean_margin'], 4)
    _, found = served.post('/map', prompt=own, source=other)
    # The last layer's last position is all that the output is made from.
    _, clean = served.post('/map', prompt=other, source=other)
    self.assertEqual(found['token'][1][4], clean['clean_token'])
    self.assertEqual(found['token'][1][1:4], [found['clean_token']] * 3)

  def test_maps_and_questions_tell_the_same(self):
    texts = {'prompt': 'anna keller speaks', 'source': 'felix farkas speaks'}
    _, drawn = served.post('/map', **texts)
    for layer in range(2):
      for position in range(1, 4):
        _, (found,) = served.post(
          '/ask', question='patching', layer=layer, position=position, **texts
        )
        effect = found['effect']
        self.assertEqual(
          effect['treated_token'], drawn['token'][layer][position]
        )
        self.assertAlmostEqual(
          effect['treated_margin'], drawn['margin'][layer][position], 4
        )

  def test_active_features(self):
    status, found = served.post('/active', prompt='anna keller', layer=1)
    self.assertEqual(status, 200)
    most = [max(f['activation']) for f in found]
    self.assertNotEmpty(most)
    self.assertEqual(most, sorted(most, reverse=True))
    for feature in found:
      self.assertLen(feature['activation'], 3)
      self.assertEqual(feature['activation'][0], 0)

  def test_claims_are_those_of_the_evaluation(self):
    asked = {'evaluation': 'patching_evaluation', 'arm': 'self'}
    _, all_ = served.post('/claims', **asked)
    right = served.post('/claims', **asked, right='true')[1]['count']
    wrong = served.post('/claims', **asked, right='false')[1]['count']
    self.assertEqual(right + wrong, all_['count'])
    word = all_['claims'][0]['asked'].split()[0]
    _, some = served.post('/claims', **asked, words=word.upper())
    self.assertBetween(some['count'], 1, all_['count'])
    for claim in some['claims']:
      self.assertIn(word, ' '.join(map(str, claim.values())))
    self.assertEqual(
      served.post('/claims', **asked, words='no such word')[1]['count'], 0
    )

  def test_people_and_examples(self):
    self.assertLen(served.post('/people')[1], 61)
    for example in served.post('/examples')[1]:
      status, found = served.post('/ask', **example)
      self.assertEqual(status, 200, found)

  @parameterized.parameters(
    ('tokens', dict(prompt='anna kellr'), "'kellr' is not in the vocabulary"),
    ('tokens', {}, 'expected either prompt or prompt_ids'),
    ('tokens', dict(prompt=' '.join(['anna'] * 80)), 'has 81 tokens'),
    ('tokens', dict(prompt_ids=[1, 10**9]), 'no token has the id'),
    ('tokens', dict(prompt_ids=[1, 'a']), 'expected a list of numbers'),
    ('tokens', dict(prompt_ids=[]), 'is empty'),
    ('tokens', dict(prompt=['a']), 'expected text'),
    ('ask', dict(prompt='anna'), '--position is missing'),
    ('ask', dict(prompt='anna', position=1, layer=7), '0 to 1'),
    ('ask', dict(prompt='anna', color='red'), "unknown field 'color'"),
    ('ask', dict(prompt='anna', position=1, sweep='yes'), 'true or false'),
    ('ask', dict(prompt='anna', position=1, feature=1.5), 'expected a number'),
    (
      'ask',
      dict(prompt='anna', position=1, layer=0, source=' '.join(['anna'] * 80)),
      'has 81 tokens',
    ),
    ('map', dict(prompt='anna', source='anna keller'), 'expected as many'),
    ('map', dict(prompt=' ', source=' '), 'no words'),
    ('tokens', dict(prompt_ids=[1, 2**40]), 'no token has the id'),
    ('ask', dict(prompt='anna', position='1' * 5000), '--position='),
    ('ask', dict(prompt='anna', position=1, question='<' * 5000), 'letters'),
    (
      'ask',
      dict(prompt='anna', position=1, replacement='anna ' * 99),
      'has 99',
    ),
    (
      'claims',
      dict(evaluation='patching_evaluation', arm='self', words='a ' * 999),
      'at most 500 letters',
    ),
    ('active', dict(prompt='anna', layer=5), 'no dictionary of layer 5'),
    ('active', dict(prompt='anna', layer=None), 'expected a number'),
    ('claims', dict(evaluation='x'), "no evaluation 'x'"),
    (
      'claims',
      dict(evaluation='patching_evaluation', arm='me'),
      "no arm 'me': expected one of self",
    ),
    (
      'claims',
      dict(evaluation='patching_evaluation', arm='self', number=99),
      'no page 99',
    ),
  )
  def test_bad_input_is_answered_with_a_sentence(self, name, fields, pattern):
    status, found = served.post(f'/{name}', **fields)
    self.assertEqual(status, 400, found)
    self.assertIn(pattern, found['error'])
    self.assertNotIn('\n', found['error'])

  @parameterized.parameters(
    (b'{', dict(Content_Type='application/json'), 400, 'not JSON'),
    (b'[]', dict(Content_Type='application/json'), 400, 'not an object'),
    (b'[' * 50000, dict(Content_Type='application/json'), 400, 'not JSON'),
    (b'\xff', dict(Content_Type='application/json'), 400, 'not JSON'),
    (
      b'{"prompt": "\\ud800"}',
      dict(Content_Type='application/json'),
      400,
      'not JSON',
    ),
    (b'{}', dict(Content_Type='text/plain'), 400, 'expected application/json'),
    (b' ' * 70000, dict(Content_Type='application/json'), 400, 'at most'),
    (
      b'{}',
      dict(Content_Type='application/json', Host='evil.example'),
      400,
      'Invalid host',
    ),
  )
  def test_other_bodies(self, body, headers, status, pattern):
    found, _, text = served.request('POST', '/about', body, **headers)
    self.assertEqual(found, status)
    self.assertIn(pattern, text.decode())

  def test_all_files_are_installed(self):
    root = pathlib.Path(__file__).parents[2]
    told = (root / 'setup.py').read_text()
    for name in (root / 'selfexplain_jax/serving/static').iterdir():
      self.assertIn(f"'**/*{name.suffix}'", told)

  def test_other_methods_and_places(self):
    self.assertEqual(served.request('GET', '/ask')[0], 405)
    self.assertEqual(served.request('GET', '/../../etc/passwd')[0], 404)

  def test_fifty_at_once(self):
    def ask(n: int):
      if n % 5 == 4:
        return served.post('/tokens', prompt='anna kellr')
      return served.post(
        '/ask',
        question=('features', 'patching')[n % 2],
        prompt='anna keller',
        position=1 + n % 2,
        layer=n % 2,
      )

    with futures.ThreadPoolExecutor(50) as pool:
      answers = list(pool.map(ask, range(50)))
    for n, (status, found) in enumerate(answers):
      self.assertEqual(status, 400 if n % 5 == 4 else 200, found)
      # Each gets its own answer, and equal questions equal ones.
      if n % 5 != 4:
        self.assertEqual(found[0]['layers'], [n % 2, n % 2])
    first = json.dumps(answers[0][1])
    self.assertEqual(json.dumps(answers[10][1]), first)


if __name__ == '__main__':
  absltest.main()
