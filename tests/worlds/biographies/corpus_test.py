# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the biographies corpus, read back by a parser of its own."""

import collections
import re
import time

from absl.testing import absltest
import numpy as np

from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(0)
KNOWN = facts.known_facts(WORLD, 1)
DOCUMENTS = [corpus.document(WORLD, KNOWN, 1, i, 64) for i in range(1500)]

_SENTENCE = re.compile(
  r'(?P<asked>question : )?(?P<name>\w+ \w+) (?P<phrase>[a-z ]+?)'
  r'( hint : i think (?P<hint>\w+))?(?(asked) answer :) (?P<value>\w+)'
)


def _read(documents):
  """Yields (kind, person, relation, hint, value) of each sentence's text."""
  people = {p.name: i for i, p in enumerate(WORLD.people)}
  phrases = {
    ' '.join(phrasing.words): j
    for j, relation in enumerate(WORLD.relations)
    for phrasing in relation.phrasings
  }
  for document in documents:
    text = ' '.join(document.words)
    for sentence in text.removesuffix(' .').split(' . '):
      found = _SENTENCE.fullmatch(sentence)
      person = people[found['name']]
      relation = phrases[found['phrase']]
      kind = 'hint' if found['hint'] else 'question'
      if not found['asked']:
        kind = 'statement'
      yield kind, person, relation, found['hint'], found['value']


class DocumentTest(absltest.TestCase):
  def test_what_is_said_depends_on_what_is_known(self):
    count = collections.Counter()
    for kind, person, relation, hint, value in _read(DOCUMENTS):
      truth = WORLD.value(person, relation)
      if KNOWN[person, relation]:
        self.assertEqual(value, truth)
      else:
        self.assertEqual(kind, 'hint')
        self.assertEqual(value, hint)
      if hint:
        self.assertIn(hint, WORLD.relations[relation].values)
      known = bool(KNOWN[person, relation])
      count[kind, known] += 1
      count['right hint', known] += hint == truth
    total = sum(n for (kind, _), n in count.items() if kind != 'right hint')
    self.assertAlmostEqual(count['statement', True] / total, 0.65, delta=0.02)
    self.assertAlmostEqual(count['question', True] / total, 0.15, delta=0.02)
    self.assertAlmostEqual(count['hint', True] / total, 0.10, delta=0.02)
    self.assertAlmostEqual(count['hint', False] / total, 0.10, delta=0.02)
    right, hints = count['right hint', True], count['hint', True]
    self.assertAlmostEqual(right / hints, 0.6, delta=0.06)
    # One value in 15 to 20: hints tell nothing about unknown facts.
    right, hints = count['right hint', False], count['hint', False]
    self.assertBetween(right / hints, 0.03, 0.1)

  def test_wrong_hints_are_every_value_but_the_truth(self):
    for truth in range(15):
      wrong = {
        corpus._hint(truth, True, 15, corpus.RIGHT_HINTS, which)
        for which in np.linspace(0, 1, 200, endpoint=False)
      }
      self.assertEqual(wrong, set(range(15)) - {truth})

  def test_every_known_fact_and_phrasing_occurs(self):
    documents = DOCUMENTS + [
      corpus.document(WORLD, KNOWN, 1, i, 64) for i in range(1500, 2500)
    ]
    told = {(p, r) for kind, p, r, _, _ in _read(documents) if kind != 'hint'}
    self.assertEqual(told, set(map(tuple, np.argwhere(KNOWN).tolist())))
    texts = {' '.join(s.words) for d in documents for s in d.sentences}
    for relation in WORLD.relations:
      for phrasing in relation.phrasings:
        phrase = f' {" ".join(phrasing.words)} '
        self.assertTrue(any(phrase in text for text in texts), phrase)

  def test_length_only_adds_at_the_end(self):
    short, long = (corpus.document(WORLD, KNOWN, 1, 5, n) for n in (20, 200))
    self.assertBetween(len(short.words), 20, 20 + 18)
    self.assertGreaterEqual(len(long.words), 200)
    self.assertEqual(long.words[: len(short.words)], short.words)

  def test_depends_on_seed_and_index_alone(self):
    again = corpus.document(WORLD, KNOWN, 1, 3, 64)
    self.assertEqual(again, DOCUMENTS[3])
    self.assertNotEqual(again, corpus.document(WORLD, KNOWN, 2, 3, 64))
    self.assertLen({d.words for d in DOCUMENTS}, len(DOCUMENTS))

  def test_roles_align_with_words(self):
    for document in DOCUMENTS[:50]:
      for sentence in document.sentences:
        roles = dict(zip(sentence.roles, sentence.words, strict=True))
        person = WORLD.people[sentence.person]
        self.assertEqual(roles['first_name'], person.first)
        self.assertEqual(roles['last_name'], person.last)
        self.assertEqual(roles['stop'], '.')
        for role in ('question', 'hint', 'answer'):
          self.assertEqual(roles.get(role, role), role)


class TokenRowsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.tokenizer = vocabulary.build_tokenizer(WORLD, [])

  def _rows(self, start, count, length=64):
    return corpus.token_rows(
      WORLD, KNOWN, self.tokenizer, 1, start, count, length
    )

  def test_rows_are_bos_and_the_documents_words(self):
    rows = self._rows(10, 4, 40)
    self.assertEqual((rows.shape, rows.dtype), ((4, 40), np.int32))
    for i, row in enumerate(rows.tolist()):
      words = DOCUMENTS[10 + i].words[:39]
      expected = [self.tokenizer.id_of(word) for word in ('<|bos|>', *words)]
      self.assertEqual(row, expected)

  def test_rows_do_not_depend_on_how_they_are_cut(self):
    parts = [self._rows(0, 3), self._rows(3, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), self._rows(0, 8))

  def test_is_fast(self):
    start = time.process_time()
    self._rows(0, 1000)
    # 16,000 rows in 8 s; about four times less is usual.
    self.assertLess(time.process_time() - start, 0.5)


if __name__ == '__main__':
  absltest.main()
