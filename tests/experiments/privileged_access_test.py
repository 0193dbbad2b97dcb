# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of which runs the study of privileged access has, and of its matrix."""

import collections

from absl.testing import absltest
import numpy as np

from experiments.privileged_access import recipes
from experiments.privileged_access import study as privileged_access
from selfexplain_jax import errors
from selfexplain_jax.studies import study
from selfexplain_jax.studies import sums as sums_lib
from tests.studies import runs

_PEOPLE = 6
# Rates that win on the validation split, for some arms; 0.007 for the others.
_BEST = {'twin': 0.014, 'stranger': 0.0035}


def _sums(task: str, share: float) -> dict[str, np.ndarray]:
  """Sums in which every figure but macro F1 is the share."""
  pair = np.tile([100 * share, 100.0], (_PEOPLE, 1))
  table = np.tile([3.0, 1, 0, 1, 3, 0], (_PEOPLE, 1))
  return {
    metric: table if metric == sums_lib.MACRO_F1 else pair
    for metric in sums_lib.METRICS[task]
  }


class PrivilegedAccessTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.config = privileged_access.get_config()
    self.results = study.Results(self.create_tempdir().full_path)

  def plan(self, part='all'):
    config = privileged_access.get_config(part)
    return privileged_access.plan(config, self.results)

  def finish(self, run):
    """A result: self has 0.5, others less, and each seed 0.01 more."""
    arm, rate = run.facts['arm'], run.facts.get('rate')
    share = (0.5 if arm == 'self' else 0.25) + 0.01 * run.facts.get('seed', 0)
    by_arm = {
      own: _sums(run.task, share if own == 'self' else 0.125)
      for own in run.arms
    }
    made = runs.make_result(
      run.digest,
      by_arm,
      validation=0.9 if rate in (None, _BEST.get(arm, 0.007)) else 0.1,
      questions=f'{run.task} {run.facts["target"]}',
    )
    made.write(self.results.directory)

  def finish_all(self):
    while undone := [r for r in self.plan().runs if not self.results.of(r)]:
      for run in undone:
        self.finish(run)

  def test_rates_of_an_arm_come_first_then_seeds_at_the_best(self):
    first = self.plan()
    self.assertEqual(len(first.runs), 69 + 4)
    self.assertEqual(first.later, 46)
    self.assertEqual({run.facts.get('seed', 0) for run in first.runs}, {0})
    self.finish_all()
    then = self.plan()
    self.assertEqual(then.later, 0)
    for run in then.runs:
      if run.facts.get('seed'):
        best = _BEST.get(run.facts['arm'], 0.007)
        self.assertEqual(run.facts['rate'], best)
    # Of twin and stranger, whose best rate is at an end, one more each time.
    self.assertLen({run.digest for run in then.runs}, 69 + 46 + 8 + 4)
    count = collections.Counter(run.task for run in then.runs)
    self.assertEqual(count, {'patching': 76, 'features': 28, 'ablation': 23})
    # One question type is done before another is begun, and one arm.
    cells = [(r.task, r.facts['target'], r.facts['arm']) for r in then.runs]
    self.assertEqual(
      cells,
      [
        cell
        for cell in dict.fromkeys(cells)
        for _ in range(1 if cell[2] == 'baselines' else 5 + (cell[2] in _BEST))
      ],
    )
    self.assertEqual(
      [run.task for run in then.runs],
      sorted(count.elements(), key=list(count).index),
    )

  def test_seeds_wait_for_all_rates_of_their_arm_alone(self):
    swept = [
      run for run in self.plan('ablation').runs if run.facts['arm'] == 'twin'
    ]
    for run in swept[:2]:
      self.finish(run)
    self.assertEqual(self.plan('ablation').later, 8)
    self.finish(swept[2])
    # The best is the highest: one beyond it is tried first.
    plan = self.plan('ablation')
    self.assertEqual(plan.later, 8)
    (beyond,) = (r for r in plan.runs if r.facts.get('rate') == 0.028)
    self.finish(beyond)
    plan = self.plan('ablation')
    self.assertEqual(plan.later, 6)
    self.assertEqual(
      [(run.facts['arm'], run.facts.get('seed')) for run in plan.runs],
      [
        *[('self', 0)] * 3,
        *[('twin', 0)] * 4,
        *[('twin', 1), ('twin', 2)],
        *[('stranger', 0)] * 3,
        *[('multi_task', 0)] * 3,
        ('baselines', None),
      ],
    )

  def test_a_part_has_the_runs_of_the_whole(self):
    whole = [run.digest for run in self.plan().runs]
    parts = ('patching', 'features', 'ablation')
    digests = [run.digest for part in parts for run in self.plan(part).runs]
    self.assertEqual(digests, whole)

  def test_a_longer_study_is_like_a_part_but_for_its_steps(self):
    short, longer = self.plan('ablation').runs, self.plan('longer').runs
    self.assertEqual([r.facts for r in longer], [r.facts for r in short])
    for one, other in zip(short, longer):
      if one.explainer is not None:
        assert other.explainer is not None
        steps = 3 * one.explainer.config.steps
        self.assertEqual(other.explainer.config.steps, steps)
    for run in longer:
      self.finish(run)
    config = privileged_access.get_config('longer')
    summary = privileged_access.collect(config, self.results).summary
    self.assertIn('self', summary['ablation']['target']['rows'])
    whole = privileged_access.collect(self.config, self.results).summary
    self.assertNotIn('self', whole['ablation']['target']['rows'])

  def test_arms_of_a_target_learn_from_the_same_examples(self):
    sets = collections.defaultdict(set)
    for run in self.plan().runs:
      if run.explainer is None:
        continue
      explained = run.explainer.inputs[f'explanations.{run.task}']
      asked = run.evaluation.inputs['explanations']
      self.assertEqual(asked.recipe.digest, explained.recipe.digest)
      sets[run.task, run.facts['target']].add(explained.recipe.digest)
    self.assertLen(sets, 4)
    self.assertEqual({len(digests) for digests in sets.values()}, {1})

  def test_one_explainer_is_asked_about_all_tasks(self):
    made = collections.defaultdict(set)
    for run in self.plan().runs:
      if run.facts['arm'] == 'multi_task':
        assert run.explainer is not None
        self.assertEqual(run.explainer.config.steps, 1800)
        made[run.facts['rate']].add(run.explainer.digest)
    self.assertLen(made, 3)
    self.assertEqual({len(digests) for digests in made.values()}, {1})

  def test_where_explainers_start(self):
    initial = {}
    for run in self.plan('patching').runs:
      if run.explainer is None:
        self.assertEqual(run.facts['arm'], 'baselines')
        continue
      key = run.facts['target'], run.facts['arm']
      initial[key] = run.explainer.inputs['initial'].recipe
      blind = run.explainer.config.text_only
      self.assertEqual(blind, key[1] == 'text_only')
      # Such an explainer has no real vectors that could be shuffled.
      self.assertEqual('shuffled_vector' in run.arms, not blind)
      ridge = run.explainer.config.projection.start == 'ridge'
      self.assertEqual('target' in run.explainer.inputs, ridge)
      self.assertEqual(ridge, 'ridge' in key[1] or key[1] == 'wide')
    made = recipes.Recipes('laptop')
    a, b = made.model('target').digest, made.model('stranger').digest
    for key in ('self', 'self_ridge'):
      self.assertEqual(initial['target', key].digest, a)
    self.assertEqual(initial['stranger', 'self'].digest, b)
    self.assertEqual(initial['target', 'stranger'].digest, b)
    self.assertEqual(initial['stranger', 'stranger'].digest, a)
    for arm in ('folded', 'rotated', 'rotated_ridge'):
      rotated = initial['target', arm]
      self.assertEqual(rotated.config.turn, arm != 'folded')
      self.assertEqual(rotated.stage, 'rotate')
      self.assertEqual(rotated.inputs['source'].recipe.digest, a)
    self.assertEqual(
      initial['target', 'wide'].digest, initial['stranger', 'wide'].digest
    )

  def test_what_models_share(self):
    for size in ('laptop', 'test'):
      made = recipes.Recipes(size)
      of = {
        name: made.model(name).config
        for name in ('target', 'twin', 'stranger', 'stranger_twin', 'wide')
      }
      self.assertLen({config.seed for config in of.values()}, 5)
      for one, twin in (('target', 'twin'), ('stranger', 'stranger_twin')):
        self.assertEqual(of[one].world, of[twin].world)
        self.assertEqual(of[one].model, of[twin].model)
      for one in ('target', 'wide'):
        for name in ('known_seed', 'corpus_seed'):
          self.assertNotEqual(of[one].world[name], of['stranger'].world[name])
      for name in ('world_seed', 'people'):
        self.assertLen({config.world[name] for config in of.values()}, 1)
      self.assertNotEqual(of['wide'].model.width, of['target'].model.width)

  def test_matrix(self):
    self.finish_all()
    collected = privileged_access.collect(self.config, self.results)
    summary = collected.summary
    block = summary['patching']['target']
    self.assertSameElements(
      block['rows'],
      (*privileged_access.ARMS, *privileged_access.BASELINES['patching']),
    )
    own = block['rows']['self']['exact_match_changed']
    self.assertAlmostEqual(own['value'], 0.51)
    self.assertSameElements(own['by_seed'], ('0', '1', '2'))
    test = block['tests']['self_minus_twin']['exact_match']
    self.assertAlmostEqual(test['value'], 0.25)
    self.assertTrue(test['same_sign'])
    for a, b in privileged_access.PAIRS:
      if b not in ('label', 'black_box'):
        self.assertIn(f'{a}_minus_{b}', block['tests'])
    # A baseline is the same at all seeds, each of which it is compared with.
    test = block['tests']['self_minus_metadata']['exact_match']
    self.assertEqual(list(test['by_seed']), ['0', '1', '2'])
    self.assertAlmostEqual(test['value'], 0.51 - 0.125)
    self.assertEqual(block['rates']['twin'], 0.014)
    self.assertEqual(
      block['validation']['stranger'],
      {'0.00175': 0.1, '0.0035': 0.9, '0.007': 0.1, '0.014': 0.1},
    )
    self.assertSameElements(
      summary['patching']['stranger']['rows'],
      (
        *('self', 'twin', 'stranger', 'wide'),
        *privileged_access.BASELINES['patching'],
      ),
    )
    for task, name in (('features', 'label'), ('ablation', 'black_box')):
      self.assertIn(name, summary[task]['target']['rows'])
    self.assertSameElements(
      collected.plots,
      (
        'patching_target',
        'patching_stranger',
        'features_target',
        'ablation_target',
      ),
    )
    self.assertIn('self minus rotated ridge', collected.text)

  def test_a_part_that_is_none(self):
    self.config.part = 'everything'
    with self.assertRaisesRegex(
      errors.InputError, 'expected one of all, patch'
    ):
      privileged_access.plan(self.config, self.results)

  def test_nothing_done_yet(self):
    collected = privileged_access.collect(self.config, self.results)
    self.assertEqual((collected.text, collected.plots), ('', {}))


if __name__ == '__main__':
  absltest.main()
