# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the study of what matters in an explainer, with made-up results."""

import dataclasses

from absl.testing import absltest
from absl.testing import parameterized

from experiments.scaling import variations
from selfexplain_jax import errors
from selfexplain_jax.studies import study
from tests.studies import runs


class ScalingVariationsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.results = study.Results(self.create_tempdir().full_path)

  def finish(self, run, right):
    own = runs.sums([right] * 6, [2] * 6)
    shuffled = runs.sums([1] * 6, [2] * 6)
    made = runs.make_result(
      run.digest,
      {'self': own, 'shuffled_vector': shuffled},
      validation=0.5,
      # Layers differ in what is asked.
      questions=str(run.evaluation.inputs['explanations'].recipe.digest),
    )
    # Results are shared: another study's facts may be in them.
    facts = {'seed': 7, 'value': 'of another study'}
    dataclasses.replace(made, facts=facts).write(self.results.directory)

  @parameterized.parameters('width', 'depth', 'layers', 'injection')
  def test_runs_differ_in_what_is_varied(self, part):
    config = variations.get_config(part)
    plan = variations.plan(config, self.results)
    values = variations.VALUES[part]
    self.assertLen({run.digest for run in plan.runs}, 2 * len(values))
    for run in plan.runs:
      value = run.facts['value']
      trained = run.explainer
      model = trained.inputs['initial'].recipe.config.model
      asked = run.evaluation.inputs['explanations'].recipe
      self.assertEqual(
        trained.inputs['explanations.patching'].recipe.digest, asked.digest
      )
      match part:
        case 'width':
          self.assertEqual((model.width, model.layers), (value, 6))
          self.assertEqual(model.heads * model.head_width, value)
          self.assertEqual(trained.config.projection.start, 'ridge')
        case 'depth':
          self.assertEqual((model.width, model.layers), (128, value))
          self.assertEqual(trained.config.frozen.blocks, value // 2)
        case 'layers':
          thirds = {'early': (0, 1), 'middle': (2, 3), 'late': (4, 5)}
          least, most = thirds.get(value, (0, 5))
          blocks = asked.config.blocks
          self.assertTrue(all(least <= a <= b <= most for a, b in blocks))
          self.assertLen(blocks, 11 if value == 'all' else 3)
          self.assertEqual(trained.config.examples, 1500)
        case 'injection':
          self.assertEqual(trained.config.injection, value)

  @parameterized.parameters('depth', 'layers')
  def test_what_is_collected(self, part):
    config = variations.get_config(part)
    for number, run in enumerate(variations.plan(config, self.results).runs):
      self.finish(run, 1 + number // 2 % 3)
    found = variations.collect(config, self.results)
    self.assertEqual(found.summary['undone'], [])
    one = found.summary[part]
    values = list(map(str, variations.VALUES[part]))
    self.assertEqual(list(one['rows']), values)
    for number, value in enumerate(values):
      right = 1 + number % 3
      self.assertEqual(one['rows'][value]['exact_match']['value'], right / 4)
      gap = one['tests'][f'{value}_minus_shuffled']['exact_match']
      self.assertEqual(gap['value'], (right - 1) / 4)
    if part == 'depth':
      self.assertIn('2_minus_1', one['tests'])
      self.assertIn('explainer', one['exact_match']['fits'])
      self.assertIn('saturating power law', found.pages['depth_page'])
    else:
      self.assertNotIn('early_minus_all', one['tests'])
    table = found.tables[f'{part}_runs']
    self.assertEqual(
      list(map(str, table[part].to_pylist())), [v for v in values for _ in '01']
    )
    self.assertEqual(table['seed'].to_pylist(), [0, 1] * len(values))
    # Two seeds are too few for a test to say much.
    self.assertIn('by seed', found.pages[f'{part}_page'])
    self.assertNotIn('p &lt;', found.pages[f'{part}_page'])
    self.assertIn('minus shuffled vectors', found.pages[f'{part}_page'])
    self.assertEqual(found.plots[part].count('<svg'), 1)

  def test_what_cannot_be_is_refused(self):
    for part, fields, said in (
      (
        'width',
        {'varied': {'width': (100,)}},
        'width 100: expected a multiple',
      ),
      ('width', {'size': 'huge'}, "no size 'huge'"),
    ):
      config = variations.get_config(part)
      config.update(fields)
      with self.assertRaisesRegex(errors.InputError, said):
        variations.plan(config, self.results)

  def test_nothing_done_yet(self):
    config = variations.get_config('width')
    found = variations.collect(config, self.results)
    self.assertLen(found.summary['undone'], 12)
    self.assertEqual((found.plots, found.pages), ({}, {}))


if __name__ == '__main__':
  absltest.main()
