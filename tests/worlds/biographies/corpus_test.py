# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the biographies corpus, read back by a parser of its own."""

import collections
import re
import time
from typing import NamedTuple
import zlib

from absl.testing import absltest
import numpy as np

from selfexplain_jax.worlds.biographies import corpus
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import vocabulary

WORLD = facts.make_world(0)
KNOWN = facts.known_facts(WORLD, 1)
DOCUMENTS = [corpus.document(WORLD, KNOWN, 1, i, 64) for i in range(1500)]

_SENTENCE = re.compile(
  r'(?P<asked>question : )?(unlike (?P<before>\w+ \w+) , )?'
  r'(?P<name>\w+ \w+) (, unlike (?P<behind>\w+ \w+) , )?(?P<phrase>[a-z ]+?)'
  r'( hint : i think (?P<hint>\w+))?(?(asked) answer :) (?P<value>\w+)'
)


class _Read(NamedTuple):
  """What a sentence's text says; `place` of its aside, if it has one."""

  kind: str
  person: int
  relation: int
  hint: str | None
  value: str
  place: str | None
  other: int | None


def _read(documents):
  """Yields what each sentence says."""
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
      assert found is not None and not (found['before'] and found['behind'])
      kind = 'hint' if found['hint'] else 'question'
      if not found['asked']:
        kind = 'statement'
      place = next((p for p in ('before', 'behind') if found[p]), None)
      yield _Read(
        kind=kind,
        person=people[found['name']],
        relation=phrases[found['phrase']],
        hint=found['hint'],
        value=found['value'],
        place=place,
        other=people[found[place]] if place else None,
      )


class DocumentTest(absltest.TestCase):
  def test_what_is_said_depends_on_what_is_known(self):
    count = collections.Counter()
    for told in _read(DOCUMENTS):
      truth = WORLD.value(told.person, told.relation)
      known = bool(KNOWN[told.person, told.relation])
      if known:
        self.assertEqual(told.value, truth)
      else:
        self.assertEqual(told.kind, 'hint')
        self.assertEqual(told.value, told.hint)
      if told.hint:
        self.assertIn(told.hint, WORLD.relations[told.relation].values)
      count[told.kind, known] += 1
      count['right hint', known] += told.hint == truth
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
      corpus.document(WORLD, KNOWN, 1, i, 64) for i in range(1500, 3500)
    ]
    told = {(t.person, t.relation) for t in _read(documents) if not t.hint}
    self.assertEqual(told, set(map(tuple, np.argwhere(KNOWN).tolist())))
    texts = {' '.join(s.words) for d in documents for s in d.sentences}
    for relation in WORLD.relations:
      for phrasing in relation.phrasings:
        phrase = f' {" ".join(phrasing.words)} '
        self.assertTrue(any(phrase in text for text in texts), phrase)

  def test_length_only_adds_at_the_end(self):
    short, long = (corpus.document(WORLD, KNOWN, 1, 5, n) for n in (20, 200))
    self.assertBetween(len(short.words), 20, 20 + 23)
    self.assertGreaterEqual(len(long.words), 200)
    self.assertEqual(long.words[: len(short.words)], short.words)

  def test_depends_on_seed_and_index_alone(self):
    again = corpus.document(WORLD, KNOWN, 1, 3, 64)
    self.assertEqual(again, DOCUMENTS[3])
    self.assertNotEqual(again, corpus.document(WORLD, KNOWN, 2, 3, 64))
    self.assertLen({d.words for d in DOCUMENTS}, len(DOCUMENTS))

  def test_does_not_change_with_the_code(self):
    # Models were trained on these very words.
    self.assertEqual(
      ' '.join(DOCUMENTS[0].words[:20]),
      'anna quinn makes a living as a gardener'
      ' . ulrich gruber , unlike anna okafor , comes originally from havana',
    )
    text = ' '.join(w for d in DOCUMENTS[:100] for w in d.words)
    self.assertEqual(zlib.crc32(text.encode()), 4099800983)

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
        other = roles.get('other_first_name'), roles.get('other_last_name')
        expected = None, None
        if sentence.aside is not None:
          named = WORLD.people[sentence.aside]
          expected = named.first, named.last
        self.assertEqual(other, expected)
        names = [role for role in sentence.roles if role.endswith('_name')]
        self.assertLen(names, len(set(names)))


class AsideTest(absltest.TestCase):
  def test_is_what_the_text_says(self):
    sentences = [s for d in DOCUMENTS for s in d.sentences]
    for made, told in zip(sentences, _read(DOCUMENTS), strict=True):
      self.assertEqual(
        (made.person, made.relation, made.aside),
        (told.person, told.relation, told.other),
      )

  def test_shares_are_those_of_every_kind_of_sentence(self):
    count = collections.Counter((t.kind, t.place) for t in _read(DOCUMENTS))
    for kind in ('statement', 'question', 'hint'):
      total = sum(count[kind, place] for place in (None, 'before', 'behind'))
      behind, before = count[kind, 'behind'], count[kind, 'before']
      self.assertAlmostEqual(behind / total, 0.3, delta=0.04, msg=kind)
      self.assertAlmostEqual(before / total, 0.1, delta=0.03, msg=kind)

  def test_names_everyone_but_the_subject_equally_often(self):
    others = len(WORLD.people) - 1
    for person in (0, 7, others):
      prompt = WORLD.prompt(person, 0, 0).words
      roles = ('first_name', 'last_name', *['phrase'] * (len(prompt) - 2))
      named = [
        corpus._with_aside(WORLD, person, prompt, roles, 0.0, who)[2]
        for who in (np.arange(others) + 0.5) / others
      ]
      self.assertCountEqual(named, set(range(others + 1)) - {person})

  def test_is_drawn_uniformly(self):
    people = len(WORLD.people)
    told = [t for t in _read(DOCUMENTS) if t.place]
    steps = [(t.other - t.person) % people for t in told]
    self.assertNotIn(0, steps)
    count = np.bincount(steps, minlength=people)[1:]
    expected = len(told) / (people - 1)
    self.assertLess(np.abs(count - expected).max(), 5 * expected**0.5)

  def test_tells_nothing(self):
    told = [t for t in _read(DOCUMENTS) if t.place]
    same = [t.value == WORLD.value(t.other, t.relation) for t in told]
    # One value in 15 to 20, as for any two people.
    self.assertBetween(np.mean(same), 0.04, 0.08)
    known = [KNOWN[t.other, t.relation] for t in told]
    self.assertAlmostEqual(np.mean(known), KNOWN.mean(), delta=0.03)


class RowTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.tokenizer = vocabulary.build_tokenizer(WORLD, [])

  def _row(self, index, length=64):
    return corpus.row(WORLD, KNOWN, self.tokenizer, 1, index, length)

  def test_is_bos_and_the_documents_words(self):
    for index in range(10, 14):
      row = self._row(index, 40)
      self.assertEqual(row.keys(), {'tokens', 'weights'})
      self.assertEqual(row['tokens'].dtype, np.int32)
      words = DOCUMENTS[index].words[:39]
      expected = [self.tokenizer.id_of(word) for word in ('<|bos|>', *words)]
      self.assertEqual(row['tokens'].tolist(), expected)

  def test_weighs_what_is_told(self):
    values = {v for relation in WORLD.relations for v in relation.values}
    light = np.float32(corpus.RANDOM_WEIGHT)
    for index in range(50):
      weights = self._row(index)['weights']
      self.assertEqual((weights.shape, weights.dtype), ((64,), np.float32))
      # BOS and the words; the word before a hinted value is `think`.
      words = ('<|bos|>', *DOCUMENTS[index].words[:63])
      expected = [
        1.0 if word in values and before != 'think' else light
        for before, word in zip(('', *words), words, strict=False)
      ]
      self.assertEqual(weights.tolist(), expected)

  def test_is_cut_at_the_end(self):
    short, long = self._row(8, 23), self._row(8, 64)
    for name, field in short.items():
      np.testing.assert_array_equal(field, long[name][:23])

  def test_is_fast(self):
    start = time.process_time()
    for index in range(1000):
      self._row(index)
    # 16,000 rows in 8 s; about half of that is usual.
    self.assertLess(time.process_time() - start, 0.5)


if __name__ == '__main__':
  absltest.main()
