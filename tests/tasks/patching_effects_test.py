# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of patching explanations against the slow decoder, one by one."""

import dataclasses

from absl.testing import absltest
import numpy as np

from selfexplain_jax import errors
from selfexplain_jax.data import explanations
from selfexplain_jax.tasks import patching
from selfexplain_jax.tasks import patching_effects
from selfexplain_jax.tasks import sampling
from tests.data import fixtures
from tests.models import oracle
from tests.tasks import patching_makers

TOKENIZER = fixtures.TOKENIZER
MODEL, TARGET = patching_makers.MODEL, patching_makers.TARGET
SITE = patching_makers.SITE


class MakeTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.maker = patching_makers.maker()
    made = cls.maker.make()
    cls.records, cls.vectors, cls.notes = made.records, made.vectors, made.notes
    assert made.documents is None

  def test_effects_are_those_of_single_slow_runs(self):
    changed = 0
    self.assertEqual(
      [record['vectors'] for record in self.records],
      [[row] for row in range(len(self.vectors))],
    )
    for record, vector in zip(self.records, self.vectors, strict=True):
      block = range(record['first_layer'], record['last_layer'] + 1)
      at = record['position']
      other = TOKENIZER.encode_prompt(record['counterfactual_text'])
      _, sites = oracle.forward(MODEL, np.array(other))
      expected = np.mean([sites[SITE, layer][at] for layer in block], 0)
      np.testing.assert_allclose(vector, expected, 0, 1e-4)

      def edit(site, layer, x, block=block, at=at, vector=vector):
        if site == SITE and layer in block:
          x[at] = vector
        return x

      ids = np.array(record['prompt_ids'])
      for name, editing in (('clean', None), ('treated', edit)):
        logits = oracle.forward(MODEL, ids, editing)[0][-1]
        second, first = np.argsort(logits)[-2:]
        margin = logits[first] - logits[second]
        self.assertAlmostEqual(record[f'{name}_margin'], margin, delta=1e-3)
        if margin > 1e-3:
          self.assertEqual(record[f'{name}_id'], first)
      self.assertEqual(
        record['changed'], record['clean_id'] != record['treated_id']
      )
      changed += record['changed']
    self.assertBetween(changed / len(self.records), 0.25, 0.75)

  def test_fields_tell_of_the_cell(self):
    by_text = {text: i for i, text in enumerate(self.maker.prompts.text)}
    for record in self.records:
      self.assertEqual(sorted(record), sorted(patching.SCHEMA.names))
      base = by_text[record['text']]
      other = by_text[record['counterfactual_text']]
      asked = self.maker.prompts
      self.assertEqual(record['prompt_ids'], asked.ids[base])
      self.assertEqual(record['group'], asked.group[base])
      self.assertEqual(record['counterfactual_group'], asked.group[other])
      self.assertEqual(asked.kind[base], asked.kind[other])
      self.assertEqual(record['prompt_kind'], asked.kind[base])
      self.assertNotEqual(asked.answer[base], asked.answer[other])
      self.assertTrue(asked.known[base] and asked.known[other])
      position = asked.positions[record['place']][base]
      self.assertEqual(record['position'], position)
      first, last = record['first_layer'], record['last_layer']
      self.assertIn((first, last), fixtures.BLOCKS)
      self.assertEqual(
        record['treatment'], f'{first}' if first == last else '0 to 1'
      )
      pieces = (record['before'], record['token_text'], record['after'])
      self.assertEqual(' '.join(p for p in pieces if p), record['text'])
      self.assertLen(record['before'].split(), position - 1)
      for name in ('clean', 'treated'):
        self.assertEqual(
          record[f'{name}_token'], TOKENIZER.token(record[f'{name}_id'])
        )
      self.assertEqual(record['counterfactual_ids'], asked.ids[other])
      self.assertEqual(
        record['counterfactual_position'],
        asked.positions[record['place']][other],
      )
      said = record['treated_token']
      self.assertIn(f'<<<{said}>>>', record['answer'])
      self.assertEqual('change to' in record['answer'], record['changed'])

  def test_no_group_of_one_split_occurs_in_another(self):
    groups = {split: set() for split in sampling.SPLITS}
    for record in self.records:
      groups[record['split']] |= {
        record['group'],
        record['counterfactual_group'],
      }
    self.assertNotEmpty(groups['test'])
    self.assertEqual(
      sum(map(len, groups.values())), len(set().union(*groups.values()))
    )

  def test_quotas_and_notes(self):
    for split, quota in patching_makers.config().quota.items():
      rows = [r for r in self.records if r['split'] == split]
      notes = self.notes['splits'][split]
      self.assertEqual(notes['kept'], len(rows))
      self.assertEqual(notes['kept_changed'], sum(r['changed'] for r in rows))
      counts = {}
      for r in rows:
        cell = (r['place'], r['treatment'])
        counts.setdefault(cell, [0, 0])[r['changed']] += 1
      # A cell is named by its place and treatment.
      noted = notes['kept_by_cell']
      self.assertLen(noted, 4 * len(fixtures.BLOCKS))
      self.assertEqual(
        {cell: list(kept.values()) for cell, kept in noted.items()},
        {cell: counts.get(tuple(cell.split(', ')), [0, 0]) for cell in noted},
      )
      for cell, (unchanged, changed) in counts.items():
        self.assertLessEqual(max(unchanged, changed), quota)
        balanced = {
          r['balanced'] for r in rows if (r['place'], r['treatment']) == cell
        }
        self.assertEqual(balanced, {unchanged == changed})
      # Nothing is asked twice.
      keys = [
        (r['text'], r['counterfactual_text'], r['position'], r['first_layer'])
        + (r['last_layer'],)
        for r in rows
      ]
      self.assertLen(set(keys), len(keys))

  def test_equal_inputs_give_equal_records_and_another_seed_others(self):
    again = self.maker.make()
    self.assertEqual(again.records, self.records)
    self.assertEqual(again.notes, self.notes)
    np.testing.assert_array_equal(again.vectors, self.vectors)
    other = dataclasses.replace(
      self.maker, config=patching_makers.config(seed=1)
    ).make()
    self.assertNotEqual(other.records, self.records)

  def test_records_can_be_written(self):
    folder = self.create_tempdir().full_path
    explanations.write(
      folder, self.records, patching.SCHEMA, self.vectors, fixtures.MANIFEST
    )
    again = explanations.read(folder)
    self.assertEqual(again.rows[0]['text'], self.records[0]['text'])
    chosen = np.array([5, 0, 3])
    np.testing.assert_array_equal(
      again.shown(chosen), self.vectors[chosen][:, None]
    )

  def test_prompts_that_are_answered_wrong_can_be_left_out(self):
    # No prompt is right, so none may be used.
    asked = self.maker.prompts
    wrong = dataclasses.replace(asked, answer=np.full_like(asked.answer, 3))
    with self.assertRaisesRegex(errors.InputError, 'nothing to ask'):
      dataclasses.replace(
        self.maker,
        prompts=wrong,
        config=patching_makers.config(require_right=True),
      ).make()


class RerunTest(absltest.TestCase):
  def test_refuses_records_of_several_sites(self):
    rows = [{**fixtures.record(i), 'site': f'site {i}'} for i in range(2)]
    with self.assertRaisesRegex(errors.InputError, 'site 0, site 1'):
      patching_effects.rerun(TARGET, rows, np.zeros((2, fixtures.WIDTH)))


if __name__ == '__main__':
  absltest.main()
