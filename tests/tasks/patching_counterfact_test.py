# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of patching sets from facts against the slow decoder, cell by cell."""

import collections
import dataclasses
import functools
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.interventions import stability
from selfexplain_jax.tasks import counterfact_pairs
from selfexplain_jax.tasks import counterfact_prompts
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_counterfact
from selfexplain_jax.tasks import patching_effects
from tests.models import oracle
from tests.tasks import counterfact_makers
from tests.tasks import text_targets

# Below this the fast and the slow run may differ.
NARROW = 1e-3


@functools.cache
def _made(rendering='base'):
  # Few enough cells for smaller batches.
  with mock.patch.object(stability, 'BATCH', 128):
    return counterfact_makers.maker(rendering).make()


def _records(made):
  """Records by what they are about."""
  found = {
    (r['text'], r['position'], r['first_layer'], r['last_layer']): r
    for r in made.records
  }
  assert len(found) == len(made.records)
  return found


def _says(model, ids, edit=None):
  logits, sites = oracle.forward(model, np.array(ids), edit)
  second, first = np.argsort(logits[-1])[-2:]
  return int(first), logits[-1][first] - logits[-1][second], sites


class MakeTest(parameterized.TestCase):
  @parameterized.parameters('base', 'chat')
  def test_effects_are_those_of_single_slow_runs(self, rendering):
    made, maker = _made(rendering), counterfact_makers.maker(rendering)
    model, tokenizer = maker.target.model, maker.target.tokenizer
    records, pairs, expected = _records(made), maker.pairs, 0
    for n in range(len(pairs)):
      ids = list(pairs.prompt[n].ids)
      other = pairs.other_tokens[n][
        : np.flatnonzero(pairs.other_tokens[n])[-1] + 1
      ]
      clean, clean_margin, _ = _says(model, ids)
      _, _, sites = _says(model, other)
      start = 0 if tokenizer.bos_id is None else 1
      text = tokenizer.decode(ids[start:], special=True)
      aligned = pairs.aligned[n]
      for at in np.flatnonzero(aligned >= 0).tolist():
        for first, last in counterfact_makers.BLOCKS:
          expected += 1
          record = records[text, at, first, last]
          if rendering == 'chat' and expected % 5:
            continue  # One in five will do.
          vector = np.mean(
            [
              sites[counterfact_makers.SITE, i][aligned[at]]
              for i in range(first, last + 1)
            ],
            0,
          )
          np.testing.assert_allclose(
            made.vectors[record['vectors'][0]], vector, 0, 1e-4
          )

          def edit(site, layer, x, first=first, last=last, at=at, v=vector):
            if site == counterfact_makers.SITE and first <= layer <= last:
              x[at] = v
            return x

          token, margin, _ = _says(model, ids, edit)
          for name, found, lead in (
            ('clean', clean, clean_margin),
            ('treated', token, margin),
          ):
            self.assertAlmostEqual(record[f'{name}_margin'], lead, delta=NARROW)
            if lead > NARROW:
              self.assertEqual(record[f'{name}_id'], found)
          self.assertEqual(record['prompt_ids'], ids)
          self.assertEqual(record['counterfactual_ids'], other.tolist())
          self.assertEqual(record['counterfactual_position'], aligned[at])
          self.assertEqual(record['token_text'], tokenizer.text(ids[at]))
          self.assertEqual(
            record['place'],
            counterfact_prompts.PLACES[pairs.prompt[n].place[at]],
          )
          self.assertEqual(record['split'], pairs.split[n])
          self.assertEqual(record['group'], pairs.base[n].subject)
    # All of them are there, and no others.
    self.assertLen(records, expected)
    changed = np.mean([record['changed'] for record in made.records])
    self.assertBetween(changed, 0.005, 0.9)

  def test_records_are_of_the_schema_and_can_be_run_again(self):
    made = _made()
    folder = self.create_tempdir().full_path
    for record in made.records:
      self.assertEqual(sorted(record), sorted(patching.SCHEMA.names))
    explanations.write(
      folder, made.records, patching.SCHEMA, made.vectors, {'task': 'patching'}
    )
    again = explanations.read(folder)
    rows = np.arange(0, len(again.rows), 7)
    found = patching_effects.rerun(
      counterfact_makers.TARGETS['base'],
      [again.rows[n] for n in rows],
      again.shown(rows)[:, 0],
    )
    self.assertEqual(
      found.token.tolist(), [again.rows[n]['treated_id'] for n in rows]
    )

  def test_equal_inputs_give_equal_sets_whatever_the_chunk(self):
    made = _made()
    with mock.patch.object(stability, 'BATCH', 128):
      again = counterfact_makers.maker().make()
      other = counterfact_makers.maker(chunk=1).make()
    self.assertEqual(again.records, made.records)
    self.assertEqual(again.notes, made.notes)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    for record, expected in zip(other.records, made.records, strict=True):
      for name, value in record.items():
        if name.endswith('margin'):
          self.assertAlmostEqual(value, expected[name], delta=1e-4)
        else:
          self.assertEqual(value, expected[name])
    np.testing.assert_allclose(other.vectors, made.vectors, 0, 1e-5)

  def test_balances_and_drops_pairs_that_are_answered_wrong(self):
    with mock.patch.object(stability, 'BATCH', 128):
      quota = dict.fromkeys(('train', 'validation', 'test'), 2)
      floor = dict(unchanged=0.5, changed=1.0)
      made = counterfact_makers.maker(quota=quota, floor=floor).make()
      cells = collections.Counter(
        (r['split'], r['place'], r['treatment'], r['changed'])
        for r in made.records
      )
      self.assertLessEqual(max(cells.values()), 2)
      self.assertGreater(made.notes['splits']['train']['kept_changed'], 0)
      self.assertEqual(made.notes['pairs_answered_wrong'], 4)
      with self.assertRaisesRegex(errors.InputError, 'nothing to ask'):
        counterfact_makers.maker(require_right=True).make()

  def test_outputs_that_end_a_text_are_dropped(self):
    records = _made().records
    said = collections.Counter(r['treated_id'] for r in records if r['changed'])
    end, _ = said.most_common(1)[0]
    maker = counterfact_makers.maker()
    kind = type(maker.target.tokenizer)
    with (
      mock.patch.object(stability, 'BATCH', 128),
      mock.patch.object(
        kind, 'end_ids', new_callable=mock.PropertyMock, return_value=(end,)
      ),
    ):
      made = maker.make()
    expected = [
      r for r in records if end not in (r['clean_id'], r['treated_id'])
    ]
    self.assertLess(len(expected), len(records))
    self.assertCountEqual(
      [(r['text'], r['position'], r['first_layer']) for r in made.records],
      [(r['text'], r['position'], r['first_layer']) for r in expected],
    )
    dropped = sum(
      split['dropped_says_the_end'] for split in made.notes['splits'].values()
    )
    self.assertEqual(dropped, len(records) - len(expected))

  def test_an_answer_is_right_with_or_without_a_space(self):
    maker = counterfact_makers.maker()
    encode, answer = maker.target.tokenizer.encode, maker.pairs.base[0].object
    self.assertTrue(maker._right(0, encode(answer)[0]))
    self.assertTrue(maker._right(0, encode(f' {answer}')[0]))
    self.assertFalse(maker._right(0, encode('. ')[0]))

  def test_the_plan_counts_what_is_run(self):
    maker = counterfact_makers.maker()
    self.assertEqual(len(maker.pairs), 4)
    cells = len(_made().records)
    longest = maker.pairs.tokens.shape[1]
    # Each base prompt, and each other one for the search and for the vectors.
    self.assertStartsWith(
      maker.plan,
      f'4 pairs, {cells} cells, {cells + 12} forwards of {longest} tokens; at '
      f'most {cells} records, ',
    )
    # In bfloat16 every cell is run in two batch shapes.
    target = text_targets.target('llama')
    target.config = dataclasses.replace(target.config, dtype='bfloat16')
    twice = dataclasses.replace(maker, target=target)
    self.assertIn(f' {2 * cells + 12} forwards of ', twice.plan)
    small = counterfact_makers.maker(quota=dict(train=1, validation=1, test=1))
    self.assertIn(f'at most {3 * 2 * 8 * 2} records', small.plan)


class PairsTest(absltest.TestCase):
  def pairs(self, **changes):
    return counterfact_makers.maker(
      pairs=dict.fromkeys(('train', 'validation', 'test'), 0), **changes
    ).pairs

  def test_pairs_ask_the_same_of_two_subjects_of_one_split(self):
    pairs = self.pairs()
    self.assertLen(pairs, 48)
    splits: dict[str, set[str]] = {}
    for n in range(len(pairs)):
      base, other = pairs.base[n], pairs.other[n]
      self.assertEqual(
        (base.relation, base.prompt), (other.relation, other.prompt)
      )
      self.assertNotEqual(base.subject, other.subject)
      self.assertNotEqual(base.object, other.object)
      for fact in (base, other):
        splits.setdefault(fact.subject, set()).add(pairs.split[n])
    # Each subject is in two facts.
    self.assertEqual({len(found) for found in splits.values()}, {1})
    self.assertEqual(set(pairs.split), {'train', 'validation', 'test'})

  def test_both_prompts_have_the_same_options(self):
    pairs = self.pairs()
    tokenizer = counterfact_makers.TARGETS['base'].tokenizer
    objects: dict[str, set[str]] = {}
    for fact in (*pairs.base, *pairs.other):
      objects.setdefault(fact.relation, set()).update((fact.object, fact.other))
    orders = set()
    for n in range(len(pairs)):
      options = pairs.options[n]
      self.assertLen(set(options), 5)
      self.assertContainsSubset(
        {pairs.base[n].object, pairs.other[n].object}, options
      )
      self.assertContainsSubset(options, objects[pairs.base[n].relation])
      asked = f'. Answer with {" or ".join(options)} or unknown. Answer:'
      text = tokenizer.decode(pairs.prompt[n].ids)
      self.assertEqual(text, pairs.base[n].statement + asked)
      self.assertEqual(pairs.other_text[n], pairs.other[n].statement + asked)
      orders.add(options.index(pairs.base[n].object))
    self.assertEqual(orders, set(range(5)))

  def test_are_drawn_by_the_seed_and_cut_to_their_number(self):
    pairs, again, other = self.pairs(), self.pairs(), self.pairs(seed=2)
    self.assertEqual((pairs.base, pairs.other), (again.base, again.other))
    self.assertEqual(pairs.options, again.options)
    self.assertNotEqual(pairs.options, other.options)
    few = counterfact_makers.maker(
      pairs=dict(train=3, validation=1, test=2)
    ).pairs
    self.assertEqual(few.split, ['train'] * 3 + ['validation'] + ['test'] * 2)
    train = [n for n, split in enumerate(pairs.split) if split == 'train']
    self.assertEqual(few.base[:3], [pairs.base[n] for n in train[:3]])
    self.assertEqual(few.options[:3], [pairs.options[n] for n in train[:3]])

  def test_counts_facts_that_cannot_be_paired(self):
    records = text_targets.facts()
    for n, (relation, subject) in enumerate((('P1', 'A'), ('P103', 'B'))):
      records.append(
        {
          'case_id': 1000 + n,
          'requested_rewrite': {
            'prompt': 'nobody else is {}, who is',
            'relation_id': relation,
            'target_new': {'str': 'Dutch'},
            'target_true': {'str': 'French'},
            'subject': subject,
          },
        }
      )
    name = pathlib.Path(self.create_tempdir().full_path) / 'facts.jsonl'
    text_targets.write_json(name, records)
    notes = self.pairs(facts=str(name)).notes
    self.assertEqual(notes['facts'], 50)
    self.assertEqual(notes['facts_of_few_objects'], 1)
    self.assertEqual(notes['facts_without_counterpart'], 1)
    self.assertEqual(sum(notes['pairs'].values()), 48)
    text_targets.write_json(name, records[-1:])
    with self.assertRaisesRegex(errors.InputError, 'no two of the 0 facts of'):
      self.pairs(facts=str(name))


class PrepareTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(facts=''), '--config.facts is missing'),
    (dict(facts='nowhere.json'), 'no file matches'),
    (dict(blocks=()), '3 layers, which 4 equal blocks .* config.blocks'),
    (dict(blocks=((0, 3),)), 'config.blocks has'),
    (dict(chunk=0), 'config.chunk is 0: expected at least 1'),
    (dict(pairs=dict(test=-1)), 'config.pairs.test is -1'),
    (dict(quota=dict(train=-1)), 'config.quota.train is -1: .* at least 0'),
    (dict(shares=dict(test=0.9)), 'config.shares is'),
    (dict(site='final_norm'), 'expected a site that has layers'),
    (dict(instruction='{options}' * 2), 'config.instruction is'),
    (dict(instruction='.'), 'config.instruction is'),
    (dict(cue=':' * 3000), 'longest prompt has .* at most 2048'),
  )
  def test_says_what_is_wrong_before_anything_is_run(self, changes, pattern):
    with self.assertRaisesRegex(errors.InputError, pattern):
      counterfact_makers.maker(**changes)

  def test_blocks_are_four_of_equal_size(self):
    target = text_targets.target('llama')
    target.config = dataclasses.replace(target.config, layers=8)
    maker = patching_counterfact.prepare(
      target, counterfact_makers.config(blocks=())
    )
    self.assertEqual(maker.blocks.tolist(), [[0, 1], [2, 3], [4, 5], [6, 7]])
    self.assertEqual(counterfact_pairs.OPTIONS, 5)


if __name__ == '__main__':
  absltest.main()
