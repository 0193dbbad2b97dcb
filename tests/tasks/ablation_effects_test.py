# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of ablation explanations against the slow decoder, one by one."""

import collections
import dataclasses

from absl.testing import absltest
import ml_collections
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.data import samples
from selfexplain_jax.fidelity import rerun
from selfexplain_jax.tasks import ablation
from selfexplain_jax.tasks import ablation_effects
from selfexplain_jax.tasks import sampling
from selfexplain_jax.tasks import target as target_lib
from selfexplain_jax.worlds.biographies import facts
from selfexplain_jax.worlds.biographies import hints
from selfexplain_jax.worlds.biographies import pretraining
from tests.data import fixtures
from tests.models import oracle
from tests.models import tiny

TOKENIZER = fixtures.TOKENIZER
MODEL = tiny.model(
  layers=fixtures.LAYERS,
  width=fixtures.WIDTH,
  vocabulary=TOKENIZER.vocab_size,
)
TARGET = target_lib.Target.of(MODEL, TOKENIZER, 'a folder', 'a hash')
KNOWN = facts.known_facts(fixtures.WORLD, 0)
ASKED = hints.all_prompts(fixtures.WORLD, KNOWN, TOKENIZER, 0)
PROMPTS = ASKED.prompts
# Below this the fast and the slow run may differ.
NARROW = 1e-3


def _config(**changes):
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.quota = dict(train=3, validation=2, test=2)
  config.rounds = 2
  config.dtype, config.keep_unstable = 'float32', False
  config.floor = dict(unchanged=0.5, changed=1.0)
  config.prompts = dict(source='biographies', samples=dict(count=60, length=9))
  config.update(changes)
  return config


def _says(ids):
  """Returns what the slow decoder says next, and its lead in logits."""
  logits = oracle.forward(MODEL, np.array(ids))[0][-1]
  second, first = np.argsort(logits)[-2:]
  return int(first), logits[first] - logits[second]


def _ids(words):
  return [TOKENIZER.bos_id, *(TOKENIZER.id_of(word) for word in words)]


class DrawTest(absltest.TestCase):
  ABLATIONS = ablation_effects.Ablations(TARGET, ASKED, 0)
  # Few enough that everything which may be drawn is: a person's prompts, and
  # another's of whom all is asked in the same ways.
  USABLE = np.array(
    [
      n
      for n, (group, kind) in enumerate(
        zip(PROMPTS.group, PROMPTS.kind, strict=True)
      )
      if group in {p.name for p in fixtures.WORLD.people[:3]}
      and kind.split('/')[0] in ('language', 'employer')
    ]
  )

  def draw(self, wanted=3000, seed=0, purpose='train/0'):
    shape = (len(hints.SPAN_KINDS), 2)
    wanted = np.broadcast_to(np.array(wanted), shape)
    ablations = dataclasses.replace(self.ABLATIONS, seed=seed)
    drawn = ablations.draw(self.USABLE, wanted, purpose)
    fields = (getattr(drawn, f.name) for f in dataclasses.fields(drawn))
    return list(zip(*(field.tolist() for field in fields), strict=True))

  def test_draws_every_ablation_that_may_be_asked_and_no_other(self):
    expected = set()
    for place, name in enumerate(hints.SPAN_KINDS):
      for base in self.USABLE.tolist():
        own = ASKED.tokens(name, base)
        if not own:
          continue
        expected.add((base, place, 0, ()))
        for other in self.USABLE.tolist():
          instead = ASKED.tokens(name, other)
          if PROMPTS.kind[base] == PROMPTS.kind[other] and own != instead:
            expected.add((base, place, 1, tuple(instead)))
    drawn = self.draw()
    self.assertEqual(
      {
        (base, place, kind, self.replacement(other, place) if kind else ())
        for base, other, place, kind in drawn
      },
      expected,
    )
    # Two prompts with the same words there are one ablation.
    self.assertLen(drawn, len(expected))
    # Among them hints for hints, and none for a prompt without.
    self.assertTrue(any(row[2:] == (0, 1) for row in drawn))

  def replacement(self, other, place):
    return tuple(ASKED.tokens(hints.SPAN_KINDS[place], other))

  def test_draws_what_is_wanted_of_each(self):
    wanted = np.zeros((5, 2), int)
    wanted[1, 0], wanted[0, 1] = 8, 300
    drawn = collections.Counter(row[2:] for row in self.draw(wanted))
    self.assertSameElements(drawn, [(1, 0), (0, 1)])
    self.assertBetween(drawn[1, 0], 4, 8)
    self.assertEmpty(self.draw(0))

  def test_is_a_function_of_seed_and_purpose(self):
    rows = self.draw(3)
    self.assertEqual(self.draw(3), rows)
    self.assertNotEqual(self.draw(3, seed=1), rows)
    self.assertNotEqual(self.draw(3, purpose='test/0'), rows)


class MakeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.maker = ablation_effects.Maker(TARGET, ASKED, _config())
    cls.made = cls.maker.make()
    cls.records = cls.made.records
    cls.index = {text: n for n, text in enumerate(PROMPTS.text)}

  def test_effects_are_those_of_single_slow_runs(self):
    for record in self.records:
      # The change is made to the words, by what the question says of it.
      words = record['text'].split()
      start, end = record['start'] - 1, record['end'] - 1
      ablated = words[:start] + record['replacement_text'].split() + words[end:]
      self.assertEqual(record['ablated_text'], ' '.join(ablated))
      for name, text in (('clean', words), ('treated', ablated)):
        token, margin = _says(_ids(text))
        self.assertAlmostEqual(record[f'{name}_margin'], margin, delta=NARROW)
        if margin > NARROW:
          self.assertEqual(record[f'{name}_id'], token)
        self.assertEqual(
          record[f'{name}_token'], TOKENIZER.token(record[f'{name}_id'])
        )
      self.assertEqual(
        record['changed'], record['clean_id'] != record['treated_id']
      )
      said = record['treated_token']
      self.assertIn(f'<<<{said}>>>', record['answer'])
      self.assertEqual('change to' in record['answer'], record['changed'])
    changed = np.mean([record['changed'] for record in self.records])
    self.assertBetween(changed, 0.25, 0.75)

  def test_spans_are_what_they_say(self):
    for record in self.records:
      self.assertEqual(sorted(record), sorted(ablation.SCHEMA.names))
      self.assertEqual(record['vectors'], [])
      n = self.index[record['text']]
      self.assertEqual(record['prompt_ids'], PROMPTS.ids[n])
      self.assertEqual(record['prompt_kind'], PROMPTS.kind[n])
      self.assertEqual(record['group'], PROMPTS.group[n])
      self.assertEqual(record['split'], PROMPTS.split[n])
      self.assertEqual(record['known'], bool(PROMPTS.known[n]))
      span = [record['start'], record['end']]
      self.assertEqual(span, ASKED.spans[record['place']][n].tolist())
      words = record['text'].split()
      own = words[span[0] - 1 : span[1] - 1]
      self.assertEqual(record['span_text'], ' '.join(own))
      first, last = record['group'].split()
      match record['place']:
        case 'hint':
          self.assertEqual(own[:4], ['hint', ':', 'i', 'think'])
          self.assertLen(own, 5)
        case 'first_name':
          self.assertEqual(own, [first])
        case 'last_name':
          self.assertEqual(own, [last])
        case _:
          self.assertLen(own, 1)
    self.assertSameElements(
      [record['place'] for record in self.records], hints.SPAN_KINDS
    )

  def test_replacements_are_of_prompts_of_the_same_kind_and_split(self):
    found = collections.defaultdict(set)
    for n in range(len(ASKED)):
      for place in hints.SPAN_KINDS:
        key = (place, PROMPTS.kind[n], PROMPTS.split[n])
        found[key].add(tuple(ASKED.tokens(place, n)))
    for record in self.records:
      instead = tuple(record['replacement_ids'])
      self.assertEqual(
        TOKENIZER.encode(record['replacement_text']), list(instead)
      )
      if record['treatment'] == ablation.REMOVED:
        self.assertEqual(instead, ())
        continue
      self.assertEqual(record['treatment'], ablation.REPLACED)
      key = (record['place'], record['prompt_kind'], record['split'])
      self.assertIn(instead, found[key])
      self.assertNotEqual(record['replacement_text'], record['span_text'])
      self.assertNotEmpty(instead)

  def test_quotas_and_notes(self):
    self.assertEqual(self.made.notes['prompts'], len(ASKED))
    for split, quota in _config().quota.items():
      rows = [r for r in self.records if r['split'] == split]
      notes = self.made.notes['splits'][split]
      self.assertEqual(notes['kept'], len(rows))
      counts = {name: [0, 0] for name in notes['kept_by_cell']}
      for r in rows:
        counts[f'{r["place"]}, {r["treatment"]}'][r['changed']] += 1
      self.assertEqual(
        counts, {k: list(v.values()) for k, v in notes['kept_by_cell'].items()}
      )
      self.assertLen(counts, 10)
      for r in rows:
        unchanged, changed = counts[f'{r["place"]}, {r["treatment"]}']
        self.assertLessEqual(max(unchanged, changed), quota)
        self.assertEqual(r['balanced'], unchanged == changed)
      # Nothing is asked twice: not of the same prompt in the same words.
      keys = [(r['text'], r['place'], r['ablated_text']) for r in rows]
      self.assertLen(set(keys), len(keys))

  def test_equal_inputs_give_equal_records_and_another_seed_others(self):
    again = self.maker.make()
    self.assertEqual(again.records, self.records)
    self.assertEqual(again.notes, self.made.notes)
    other = dataclasses.replace(self.maker, config=_config(seed=1)).make()
    self.assertNotEqual(other.records, self.records)

  def test_shows_no_vectors_and_can_be_written(self):
    self.assertEqual(self.made.vectors.shape, (0, fixtures.WIDTH))
    self.assertIsNone(self.made.documents)
    folder = self.create_tempdir().full_path
    explanations.write(
      folder,
      self.records,
      ablation.SCHEMA,
      self.made.vectors,
      fixtures.MANIFEST,
    )
    self.assertEqual(
      explanations.read(folder).rows[3]['text'], self.records[3]['text']
    )

  def test_plan_by_hand(self):
    # Five spans and two things to do, of each verdict 3 + 2 + 2.
    self.assertStartsWith(
      self.maker.plan, '10 kinds of ablations; at most 140 records'
    )

  def wide(self):
    """The records that no other batch shape turns."""
    rows = [
      r
      for r in self.records
      if min(r['clean_margin'], r['treated_margin']) > NARROW
    ]
    self.assertGreater(len(rows), 0.8 * len(self.records))
    return rows

  def test_the_black_box_answers_what_happens(self):
    rows = self.wide()
    self.assertEqual(
      ablation_effects.black_box(TARGET, rows), [r['answer'] for r in rows]
    )

  def test_the_black_box_reads_the_two_texts_alone(self):
    rows = self.wide()[:20]
    texts = [
      {'text': row['text'], 'ablated_text': row['ablated_text']} for row in rows
    ]
    self.assertEqual(
      ablation_effects.black_box(TARGET, texts), [r['answer'] for r in rows]
    )

  def test_re_running_agrees_and_notices_what_is_false(self):
    records = [dict(row) for row in self.wide()]
    chosen = np.array([7, 0, 3, 12])

    def again():
      explained = fixtures.explained(records, schema=ablation.SCHEMA)
      return rerun.rerun(TARGET, ablation_effects.rerun, explained, chosen)

    shown = again()
    self.assertEqual(shown.disagreements, 0)
    for n, index in enumerate(chosen):
      self.assertEqual(shown.effects[n].changed, records[index]['changed'])
      self.assertEqual(shown.clean_token[n], records[index]['clean_token'])
      self.assertEqual(shown.treated_token[n], records[index]['treated_token'])
    # Of one of these the effect is false, and of one that is not asked for.
    for index in (3, 5):
      records[index]['treated_id'] += 1
      records[index]['changed'] = not records[index]['changed']
      records[index]['treated_token'] = 'harp'
    falsified = again()
    self.assertEqual(falsified.disagreements, 1)
    self.assertEqual(falsified.effects, shown.effects)


class PrepareTest(absltest.TestCase):
  def test_biographies_are_those_of_the_targets_world(self):
    folder = self.create_tempdir().full_path
    pretraining.Corpus(
      corpus_seed=3, known_seed=0, people=48, world_seed=0
    ).save(folder)
    target = target_lib.Target.of(MODEL, TOKENIZER, folder, 'a hash')
    maker = ablation_effects.prepare(target, _config())
    self.assertEqual(maker.asked.prompts.text, PROMPTS.text)
    self.assertIs(maker.target, target)
    other = ablation_effects.prepare(target, _config(seed=1))
    self.assertNotEqual(other.asked.prompts.text, PROMPTS.text)

  def test_samples_are_the_targets_own(self):
    config = _config(prompts=dict(source='samples'))
    maker = ablation_effects.prepare(TARGET, config)
    self.assertLen(maker.asked, 60)
    self.assertEqual(tuple(maker.asked.spans), samples.POSITION_KINDS)
    by_text = collections.defaultdict(list)
    for n, text in enumerate(maker.asked.prompts.text):
      by_text[text].append(n)
    records = maker.make().records
    self.assertNotEmpty(records)
    for record in records:
      ids = record['prompt_ids']
      start, end = record['start'], record['end']
      self.assertEqual(end, start + 1)
      token, margin = _says(
        [*ids[:start], *record['replacement_ids'], *ids[end:]]
      )
      if margin > NARROW:
        self.assertEqual(record['treated_id'], token)
      self.assertTrue(by_text[record['text']])
      self.assertIsNone(record['known'])

  def test_refuses_another_source(self):
    with self.assertRaisesRegex(errors.InputError, "'books': expected"):
      ablation_effects.prepare(TARGET, _config(prompts=dict(source='books')))

  def test_refuses_a_target_without_a_world(self):
    folder = self.create_tempdir().full_path
    target = target_lib.Target.of(MODEL, TOKENIZER, folder, 'a hash')
    with self.assertRaisesRegex(errors.InputError, 'pretraining corpus'):
      ablation_effects.prepare(target, _config())

  def test_refuses_what_sampling_does(self):
    for split in sampling.SPLITS:
      with self.assertRaisesRegex(errors.InputError, f'quota.{split} is 0'):
        ablation_effects.prepare(TARGET, _config(quota={split: 0}))


if __name__ == '__main__':
  absltest.main()
