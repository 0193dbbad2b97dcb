# Copyright 2026 The selfexplain_jax authors. Licensed under Apache-2.0.
"""Tests of the study over the number of examples, with made-up results."""

import dataclasses
import math

from absl.testing import absltest
import numpy as np

from experiments.privileged_access import study as privileged_access
from experiments.scaling import examples
from selfexplain_jax import errors
from selfexplain_jax.studies import study
from tests.studies import runs

_ALL = 5000
# How many times as many examples each arm needs.
_RATIO = {'self': 1.0, 'stranger': 3.0, 'nearest_neighbour': 6.0}


def _examples(run):
  """How many a run is with; those of the other study are with all."""
  return run.facts.get('examples', 'all')


class ScalingExamplesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.config = examples.get_config('patching')
    self.results = study.Results(self.create_tempdir().full_path)

  def plan(self):
    return examples.plan(self.config, self.results)

  def finish(self, run):
    arm, asked = run.facts['arm'], _examples(run)
    count = _ALL if asked == 'all' else asked

    def sums(name):
      share = 0.1 + 0.05 * math.log(count / _RATIO.get(name, 1.0))
      pairs = np.tile([1000 * share, 1000.0], (8, 1))
      # Macro F1 of a table in which so large a share of a verdict is right.
      table = np.tile([share, 1 - share, 0, 1 - share, share, 0], (8, 1))
      own = dict.fromkeys(('exact_match', 'exact_match_changed'), pairs)
      return {**own, 'macro_f1': table}

    runs.make_result(
      run.digest,
      {kept: sums(arm if kept == 'self' else kept) for kept in run.arms},
      validation=0.9 - abs(run.facts['rate'] - 0.007)
      if 'rate' in run.facts
      else None,
      examples=count,
    ).write(self.results.directory)

  def finish_all(self):
    while to_do := [r for r in self.plan().runs if self.results.of(r) is None]:
      for run in to_do:
        self.finish(run)

  def test_sizes_stop_at_what_there_is(self):
    first = self.plan()
    self.assertLen(first.runs, 6 + 1)
    self.assertEqual({_examples(run) for run in first.runs}, {'all'})
    self.assertGreater(first.later, 0)
    for run in first.runs:
      self.finish(run)
    then = self.plan()
    self.assertEqual(then.later, 0)
    sizes = (100, 300, 1000, 3000)
    for arm in ('self', 'stranger'):
      asked = [
        (_examples(run), run.facts['seed'])
        for run in then.runs
        if run.facts['arm'] == arm
      ]
      self.assertCountEqual(
        asked,
        [*[('all', 0)] * 3, *((n, 0) for n in sizes), ('all', 1), (100, 1)],
      )
      for run in then.runs:
        if run.facts['arm'] == arm and _examples(run) != 'all':
          self.assertEqual(run.facts['rate'], 0.007)
    neighbours = [run for run in then.runs if run.explainer is None]
    self.assertIn('untrained', neighbours[-1].arms)
    self.assertEqual([_examples(run) for run in neighbours], [*sizes, 'all'])
    self.assertLen({run.digest for run in then.runs}, 2 * 9 + 5)

  def test_runs_with_all_examples_are_those_of_privileged_access(self):
    self.finish_all()
    other = privileged_access.plan(
      privileged_access.get_config('patching'), self.results
    )
    shared = {run.digest for run in other.runs}
    for run in self.plan().runs:
      self.assertEqual(
        run.digest in shared,
        _examples(run) == 'all',
        run.name,
      )

  def test_fewer_examples_of_the_same_set(self):
    self.finish_all()
    for run in self.plan().runs:
      asked = _examples(run)
      if run.explainer is not None:
        self.assertEqual(
          run.explainer.config.examples, 0 if asked == 'all' else asked
        )
      else:
        explained = run.evaluation.inputs['explanations'].recipe
        self.assertEqual(explained.stage == 'subset', asked != 'all')
        if asked != 'all':
          self.assertEqual(explained.config.examples, asked)

  def test_sizes_stay_known_while_another_rate_is_tried(self):
    for run in self.plan().runs[:3]:
      self.finish(run)
    lowest = self.plan().runs[0]
    found = self.results.of(lowest)
    dataclasses.replace(found, validation=1.0).write(self.results.directory)
    self.results = study.Results(self.results.directory)
    plan = self.plan()
    self.assertEqual(plan.runs[0].facts['rate'], 0.00175)
    asked = [_examples(run) for run in plan.runs if run.explainer is None]
    self.assertEqual(asked, [100, 300, 1000, 3000, 'all'])

  def test_bad_fields(self):
    for name, value in (('part', 'everything'), ('seeds', ())):
      config = examples.get_config('patching')
      config[name] = value
      with self.assertRaisesRegex(errors.InputError, f'config.{name} is'):
        examples.plan(config, self.results)

  def test_ratios_are_recovered(self):
    self.finish_all()
    collected = examples.collect(self.config, self.results)
    for metric in ('exact_match', 'exact_match_changed', 'macro_f1'):
      found = collected.summary['patching'][metric]
      points = found['curves']['self']
      self.assertEqual(
        [p['examples'] for p in points], [100, 300, 1000, 3000, _ALL]
      )
      self.assertEqual([p['seeds'] for p in points], [2, 1, 1, 1, 2])
      for arm, ratio in found['ratios'].items():
        self.assertAlmostEqual(ratio['value'], _RATIO[arm], places=4)
      # Made up to have the score of self with all examples.
      self.assertAlmostEqual(found['untrained']['value'], points[-1]['value'])
    self.assertSameElements(collected.plots, ('examples',))
    self.assertRegex(
      collected.text, r'stranger needs for the scores of self: 3\.00 times'
    )

  def test_collected_from_files_alone(self):
    self.finish_all()
    again = study.Results(self.results.directory)
    one, other = (
      examples.collect(self.config, results)
      for results in (self.results, again)
    )
    self.assertEqual(one, other)

  def test_results_of_other_questions_are_refused(self):
    self.finish_all()
    run = self.plan().runs[-1]
    found = self.results.of(run)
    dataclasses.replace(found, questions='others').write(self.results.directory)
    with self.assertRaisesRegex(errors.InputError, 'different questions'):
      examples.collect(self.config, study.Results(self.results.directory))

  def test_all_has_the_runs_of_its_parts(self):
    def digests(part):
      config = examples.get_config(part)
      return [run.digest for run in examples.plan(config, self.results).runs]

    parts = ('features', 'patching', 'ablation')
    self.finish_all()
    whole = [digest for part in parts for digest in digests(part)]
    self.assertEqual(digests('all'), whole)

  def test_nothing_done_yet(self):
    collected = examples.collect(self.config, self.results)
    self.assertEqual((collected.text, collected.plots), ('', {}))


if __name__ == '__main__':
  absltest.main()
